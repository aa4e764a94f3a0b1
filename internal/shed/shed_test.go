package shed

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Rows of calls and the share that is rejected after them.
func TestTimeline(t *testing.T) {
	c := &Config{Window: 10 * time.Second}
	var w Window
	for i, r := range []struct {
		at     time.Duration
		calls  int
		accept bool
		want   float64
	}{
		{0, 9, false, 0},                       // fewer than MinCalls
		{0, 1, false, 10.0 / 11},               //
		{time.Second, 5, true, 5.0 / 16},       // 15 − 2·5
		{2 * time.Second, 5, true, 0},          // 20 − 2·10
		{9*time.Second + 999e6, 0, true, 0},    // all of the last ten tenths
		{10 * time.Second, 0, true, 0},         // the 10 failures are too old
		{10 * time.Second, 30, false, .487804}, // 40 − 2·10 of 41
		{11 * time.Second, 0, true, 25. / 36},  // 5 that were accepted are too old
		{12 * time.Second, 0, true, 30. / 31},  //
		{11 * time.Second, 0, true, 30. / 31},  // late: nothing comes back
		{19*time.Second + 999e6, 0, true, 30. / 31},
		{20 * time.Second, 0, true, 0}, // reading it advances its time
		{1000 * time.Hour, 10, false, 10. / 11},
		{2000 * time.Hour, 0, false, 0},
	} {
		for range r.calls {
			w.Leave(c, r.at, r.accept)
		}
		if got := w.Share(c, r.at); math.Abs(got-r.want) > 1e-6 {
			t.Errorf("row %d: share %v, want %v", i, got, r.want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, r := range []struct {
		c    Config
		want float64
	}{
		{Config{}, 10. / 31},          // 30 − 2·10
		{Config{K: 1.1}, 19. / 31},    //
		{Config{MinCalls: 31}, 0},     //
		{Config{Window: 1}, 10. / 31}, // a tenth is never 0
	} {
		var w Window
		for i := range 30 {
			w.Leave(&r.c, 0, i%3 == 0)
		}
		if got := w.Share(&r.c, 0); math.Abs(got-r.want) > 1e-12 {
			t.Errorf("%+v: share %v, want %v", r.c, got, r.want)
		}
	}
}

// Rejected calls count at once and keep the share high. Admitted ones count when they end.
func TestEnter(t *testing.T) {
	c := &Config{}
	var w Window
	for range 400 {
		if !w.Enter(c, 0, 0) {
			t.Fatal("one of 400 first calls was rejected: none had ended")
		}
	}
	for range 20 {
		w.Leave(c, 0, false)
	}
	if share := w.Share(c, 0); share != 20./21 {
		t.Fatalf("share %v, want 20/21", share)
	}
	if !w.Enter(c, 0, 20./21) || w.Enter(c, 0, 20./21-1e-9) {
		t.Error("a draw at the share is admitted, one below it rejected")
	}
	if share := w.Share(c, 0); share != 21./22 {
		t.Errorf("share %v after one rejection, want 21/22", share)
	}
	if w.Clean() || !new(Window).Clean() {
		t.Error("a window is clean until a call fails")
	}
}

// The share is that of a slow reference that keeps all calls in a list.
func TestAgainstReference(t *testing.T) {
	type call struct {
		at       time.Duration
		accepted bool
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := &Config{K: 1 + r.Float64(), Window: time.Duration(1+r.IntN(1000)) * 10, MinCalls: 3}
		var w Window
		var all []call
		now := time.Duration(r.IntN(1000))
		for range 200 {
			if r.IntN(10) == 0 {
				now += time.Duration(r.Int64N(int64(c.Window) * 2))
			}
			now += time.Duration(r.IntN(5))
			u := r.Float64()
			if got, want := w.Enter(c, now, u), false; true {
				calls, accepted := 0., 0.
				for _, a := range all {
					if a.at/(c.Window/Tenths) > now/(c.Window/Tenths)-Tenths {
						calls++
						if a.accepted {
							accepted++
						}
					}
				}
				share := max(0, (calls-c.K*accepted)/(calls+1))
				want = calls < 3 || u >= share
				if got != want {
					t.Fatalf("seed %d: admitted %v, want %v at a share of %v", seed, got, want, share)
				}
				if !got {
					all = append(all, call{now, false})
				}
			}
			for range r.IntN(3) {
				ok := r.IntN(2) == 0
				w.Leave(c, now, ok)
				all = append(all, call{now, ok})
			}
		}
	}
}

func TestJudge(t *testing.T) {
	failed := func(k fault.Kind, s fault.Sent) gate.Outcome {
		return gate.Outcome{Fault: fault.Fault{Kind: k, Sent: s, Err: errors.New("x")}}
	}
	for _, c := range []struct {
		name              string
		o                 gate.Outcome
		accepted, counted bool
	}{
		{"success", gate.Outcome{Result: gate.OK}, true, true},
		{"skipped", gate.Outcome{Result: gate.Skipped}, false, false},
		{"panic", gate.Outcome{}, false, true},
		{"canceled", gate.Outcome{
			Fault: fault.Fault{Kind: fault.Canceled, Err: context.Canceled}}, false, false},
		{"no rows", failed(fault.None, fault.MaybeDone), true, true},
		{"404", failed(fault.Permanent, fault.NotDone), true, true},
		{"a URL of no use", failed(fault.Permanent, fault.NotSent), false, false},
		{"429", failed(fault.RateLimited, fault.NotDone), false, true},
		{"503", failed(fault.Overloaded, fault.NotDone), false, true},
		{"a breaker of ours", failed(fault.Overloaded, fault.NotSent), false, false},
		{"no connection", failed(fault.Transient, fault.NotSent), false, true},
		{"500", failed(fault.Unknown, fault.MaybeDone), false, true},
	} {
		if accepted, counted := Judge(c.o); accepted != c.accepted || counted != c.counted {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, accepted, counted, c.accepted, c.counted)
		}
	}
}

// A clock that was read before the lock was taken runs backwards (cadence PR#6030). The call counts
// as one of now.
func TestLateCall(t *testing.T) {
	c := &Config{Window: 100, MinCalls: 1}
	var w Window
	w.Leave(c, 95, true)
	w.Leave(c, 41, false)
	w.Leave(c, -500, false)
	if got, want := w.Share(c, 30), 1./4; got != want {
		t.Errorf("a share of %v, want %v", got, want)
	}
	if got := w.Share(c, 189); got != 1./4 {
		t.Errorf("a share of %v at the end of the window", got)
	}
	if got := w.Share(c, 190); got != 0 {
		t.Errorf("a share of %v after the window", got)
	}
}
