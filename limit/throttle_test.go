package limit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundtest"
)

var (
	ended    = gate.Outcome{Result: gate.OK}
	skipped  = gate.Outcome{Result: gate.Skipped}
	panicked = gate.Outcome{}
)

func endedWith(k fault.Kind, err error) gate.Outcome {
	return gate.Outcome{Fault: fault.Fault{Kind: k, Err: err}}
}

func TestThrottleIsAGate(t *testing.T) {
	reboundtest.TestGate(t, func() gate.Gate { return &limit.Throttle{} },
		reboundtest.GateTraits{NoAllocs: true})
}

// pass sends n attempts through g, of which those admitted end with o, and returns how many were
// rejected.
func pass(t *testing.T, g gate.Gate, n int, o gate.Outcome) (rejected int) {
	t.Helper()
	for range n {
		p, err := g.Enter(t.Context())
		if err != nil {
			rejected++
			continue
		}
		g.Leave(p, o)
	}
	return rejected
}

// Rows of attempts, and the share that passes after them.
func TestThrottleTimeline(t *testing.T) {
	bad := endedWith(fault.Overloaded, errors.New("status 503"))
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Throttle{Window: 100 * time.Second}
		start := time.Now()
		for i, r := range []struct {
			at    time.Duration
			calls int
			end   gate.Outcome
			want  float64
		}{
			{0, 40, ended, 1},
			{time.Second, 40, bad, 1}, // 80 − 2·40
			{2 * time.Second, 3, panicked, 1 - 3./84},
			{3 * time.Second, 100, skipped, -1}, // some are rejected, and count
			{99 * time.Second, 0, ended, -1},
			{110 * time.Second, 0, ended, 1},
			{111 * time.Second, 9, bad, 1}, // fewer than MinCalls
			{112 * time.Second, 1, endedWith(fault.Permanent, errors.New("404")), 1 - 8./11},
			{250 * time.Second, 0, ended, 1},
			{251 * time.Second, 1000, ended, 1},
			{252 * time.Second, 1000, endedWith(fault.Canceled, context.Canceled), 1},
		} {
			time.Sleep(r.at - time.Since(start))
			pass(t, l, r.calls, r.end)
			if got := l.Snapshot().Limit; r.want >= 0 && math.Abs(got-r.want) > 1e-9 {
				t.Errorf("row %d: the share that passes is %v, want %v", i, got, r.want)
			}
		}
	})
}

func TestThrottleRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 10/11 at first, then ever more: ln(1010/10) = 4.6 attempts of 1000 are admitted on average.
		var l *limit.Throttle
		rejected, admitted := 0, 0
		for range 20 {
			l = &limit.Throttle{Name: "ocr"}
			pass(t, l, 10, endedWith(fault.Transient, errors.New("reset")))
			rejected = pass(t, l, 1000, endedWith(fault.Transient, errors.New("reset")))
			admitted += 1000 - rejected
		}
		if admitted < 32 || admitted > 152 { // the standard deviation is 9.5
			t.Errorf("%d of 20,000 were admitted, want about 92", admitted)
		}
		if got := l.Snapshot(); got.Rejected != uint64(rejected) || got.Kind != "throttle" ||
			got.Name != "ocr" || got.InFlight != 0 {
			t.Errorf("%+v after %d rejections", got, rejected)
		}
		var err error
		for err == nil {
			_, err = l.Enter(t.Context())
		}
		var e *limit.Error
		if !errors.As(err, &e) || e.Name != "ocr" || !errors.Is(err, limit.ErrShed) ||
			errors.Is(err, limit.ErrFull) {
			t.Errorf("%#v: want an Error of ocr that is ErrShed", err)
		}
		if got := "limit ocr: attempt shed (the service accepts too few)"; err.Error() != got {
			t.Errorf("%q, want %q", err, got)
		}
		f := fault.Of(err)
		if f.Kind != fault.Overloaded || f.Sent != fault.NotSent || f.Final {
			t.Errorf("%+v: want overloaded, not sent, not final", f)
		}
		if l.Refusal(time.Second) != nil {
			t.Error("a rejection was foreseen")
		}
		// What is rejected allocates nothing.
		if n := testing.AllocsPerRun(1000, func() {
			if p, err := l.Enter(context.Background()); err == nil {
				l.Leave(p, panicked)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		// Once the failures are out of the window, all pass.
		time.Sleep(2 * time.Minute)
		if n := pass(t, l, 1000, ended); n != 0 {
			t.Errorf("%d rejected after the window", n)
		}
	})
}

// The prototype counted an attempt when it began and its acceptance when it ended. It rejected 342
// of 400 concurrent first attempts.
func TestThrottleAdmitsAWaveOfFirstAttempts(t *testing.T) {
	l := &limit.Throttle{}
	for range 400 {
		if _, err := l.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 400 {
		l.Leave(gate.Pass{}, ended)
	}
	if s := l.Snapshot(); s.Limit != 1 {
		t.Errorf("%+v", s)
	}
}

// The prototype rejected the attempt after a panic at the start.
func TestThrottleAdmitsAfterOnePanic(t *testing.T) {
	for range 1000 {
		l := &limit.Throttle{}
		pass(t, l, 1, panicked)
		if n := pass(t, l, 1, ended); n != 0 {
			t.Fatal("rejected after one panic")
		}
	}
}

// The share agrees with the number of outcomes, in any order.
func TestThrottleHammer(t *testing.T) {
	l := &limit.Throttle{K: 1000, Window: time.Hour}
	const goroutines, rounds = 8, 5000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				p, err := l.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				// One in a thousand is accepted: just enough.
				o := panicked
				if (g*rounds+i)%1000 == 0 {
					o = ended
				}
				l.Leave(p, o)
				if i%100 == 0 {
					l.Snapshot()
				}
			}
		})
	}
	wg.Wait()
	if s := l.Snapshot(); s.Limit != 1 || s.Rejected != 0 {
		t.Errorf("%+v: want that 40 accepted of 40,000 are enough at K 1000", s)
	}
	l.Leave(gate.Pass{}, panicked)
	if s := l.Snapshot(); math.Abs(s.Limit-(1-1./40002)) > 1e-12 {
		t.Errorf("%+v after one failure more", s)
	}
}

func TestThrottleValidate(t *testing.T) {
	for _, l := range []*limit.Throttle{{}, {K: 1, Window: 10, MinCalls: 1}} {
		if err := l.Validate(); err != nil {
			t.Errorf("%v", err)
		}
	}
	for want, l := range map[string]*limit.Throttle{
		"limit.Throttle ocr: K is 0.5: want 1 or more, or 0 for 2":      {Name: "ocr", K: 0.5},
		"limit.Throttle: K is NaN: want 1 or more, or 0 for 2":          {K: math.NaN()},
		"limit.Throttle: K is +Inf: want 1 or more, or 0 for 2":         {K: math.Inf(1)},
		"limit.Throttle: K is -1: want 1 or more, or 0 for 2":           {K: -1},
		"limit.Throttle: Window is 9ns: want 10ns or more, or 0 for 2m": {Window: 9},
		"limit.Throttle: Window is -1s: want 10ns or more, or 0 for 2m": {Window: -time.Second},
		"limit.Throttle: MinCalls is -1: want 1 or more, or 0 for 10":   {MinCalls: -1},
	} {
		if err := l.Validate(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// However large K is, the share of attempts that may pass is a number.
func TestThrottleOfAnyK(t *testing.T) {
	for _, k := range []float64{math.Inf(1), math.MaxFloat64} {
		l := &limit.Throttle{K: k}
		for range 99 {
			l.Leave(gate.Pass{}, panicked)
		}
		if s := l.Snapshot(); math.Abs(s.Limit-0.01) > 1e-12 {
			t.Errorf("K %v, nothing accepted: %+v, want 0.01", k, s)
		}
		l.Leave(gate.Pass{}, success)
		if s := l.Snapshot(); s.Limit != 1 {
			t.Errorf("K %v, one accepted: %+v, want 1", k, s)
		}
	}
}
