package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
)

func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Name: "ocr"}
		fail(b, 5)
		time.Sleep(18 * time.Second)
		_, err := b.Enter(t.Context())
		var open *breaker.OpenError
		if !errors.As(err, &open) || !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("got error %v, want an OpenError that matches ErrOpen", err)
		}
		if errors.Is(err, errDown) {
			t.Errorf("the rejection matches the failure that opened the breaker, which was of another call")
		}
		want := "breaker ocr is open for another 42s (failures in a row: status 503)"
		if err.Error() != want {
			t.Errorf("got text %q, want %q", err, want)
		}
		if open.Name != "ocr" || open.State != breaker.Open || open.Fault.Err != errDown {
			t.Errorf("got %+v, want name ocr, state open, the failure that opened it", open)
		}
		if got := open.Remaining(); got != 42*time.Second {
			t.Errorf("got %v remaining, want 42s", got)
		}
		f := open.DescribeFault()
		wantFault := fault.Fault{Kind: fault.Overloaded, Sent: fault.NotSent, Final: true,
			After: 42 * time.Second, Detail: "breaker open", Err: open}
		if f != wantFault {
			t.Errorf("got fault %+v, want %+v", f, wantFault)
		}
		if got := fault.Of(fmt.Errorf("ocr: %w", err)); got.Kind != fault.Overloaded || !got.Final {
			t.Errorf("fault.Of returns %+v, want Overloaded and Final", got)
		}
		if _, again := b.Enter(t.Context()); again != err {
			t.Errorf("a second rejection is another error")
		}
		time.Sleep(time.Minute)
		if got := open.Remaining(); got != 0 {
			t.Errorf("got %v remaining after the cooldown, want 0", got)
		}
	})
}

func TestRefusalTexts(t *testing.T) {
	for _, tc := range []struct {
		do   func(*breaker.Breaker)
		want string
	}{
		{func(b *breaker.Breaker) { b.ForceOpen() }, "breaker is forced open"},
		{func(b *breaker.Breaker) { b.ForceHalfOpen(); b.Enter(context.Background()) },
			"breaker is half-open and its probes are under way"},
		{func(b *breaker.Breaker) { b.Cooldown = 2550 * time.Millisecond; fail(b, 5) },
			"breaker is open for another 2.6s (failures in a row: status 503)"},
		{func(b *breaker.Breaker) {
			b.Cooldown = 5 * time.Millisecond
			fail(b, 4)
			call(b, gate.Outcome{})
		}, "breaker is open for another 5ms (failures in a row)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := new(breaker.Breaker)
			tc.do(b)
			_, err := b.Enter(t.Context())
			if err == nil || err.Error() != tc.want {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
			var open *breaker.OpenError
			if errors.As(err, &open) && open.State == breaker.HalfOpen && open.Remaining() != 0 {
				t.Errorf("got %v remaining while half-open, want 0", open.Remaining())
			}
		})
	}
}

// TestLeaveDeferred shows why a zero Outcome is a failure: it is all that a deferred Leave has
// when the call panics or ends its goroutine.
func TestLeaveDeferred(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic": func() { panic("boom") }, "Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			b := &breaker.Breaker{Failures: 1}
			b.ForceHalfOpen()
			done := make(chan any)
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				var out gate.Outcome
				p, _ := b.Enter(context.Background())
				defer func() { b.Leave(p, out) }()
				leave()
				out.Result = gate.OK
			}()
			<-done
			if got := b.State(); got != breaker.Open {
				t.Errorf("state %v after the probe, want open", got)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	closed, window := new(breaker.Breaker), &breaker.Breaker{Rate: 0.5}
	failing := &breaker.Breaker{Failures: math.MaxInt}
	open := new(breaker.Breaker)
	fail(open, 5)
	full := new(breaker.Breaker)
	full.ForceHalfOpen()
	full.Enter(t.Context())
	var healthy, counting breaker.Group[string]
	counting.Template.Rate = 0.5
	a, b, ctx := healthy.For("a"), counting.For("b"), t.Context()
	call(b, success)
	limited := outcomes["limited"]
	for name, f := range map[string]func(){
		"closed":       func() { call(closed, success) },
		"window":       func() { call(window, success) },
		"refused":      func() { call(open, success) },
		"half-open":    func() { call(full, success) },
		"failure":      func() { call(failing, failure) },
		"neither":      func() { call(closed, limited) },
		"group":        func() { p, _ := a.Enter(ctx); a.Leave(p, success) },
		"group window": func() { p, _ := b.Enter(ctx); b.Leave(p, success) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

func TestCooldownJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, CooldownJitter: 0.5}
		least, most := time.Hour, time.Duration(0)
		for range 200 {
			fail(b, 1)
			got := b.Snapshot().Remaining
			least, most = min(least, got), max(most, got)
			time.Sleep(got - 1)
			if call(b, success) {
				t.Fatalf("a call was admitted 1 ns before the end of the cooldown of %v", got)
			}
			time.Sleep(time.Nanosecond)
			if !call(b, success) {
				t.Fatalf("no probe was admitted at the end of the cooldown of %v", got)
			}
		}
		if least < 10*time.Second || least > 11*time.Second {
			t.Errorf("shortest of 200 cooldowns %v, want between 10s and 11s", least)
		}
		if most > 15*time.Second || most < 14*time.Second {
			t.Errorf("longest of 200 cooldowns %v, want between 14s and 15s", most)
		}
	})
	cfg := circuit.ConfigOf(&breaker.Breaker{
		Failures: 1, Cooldown: 10 * time.Second, CooldownJitter: 0.5,
	})
	var s circuit.Machine
	p, _ := s.Enter(cfg, 0)
	if why := s.Leave(cfg, 0, p, failure, 0.5); why != "failures in a row" {
		t.Errorf("got reason %q, want failures in a row", why)
	}
	if got := s.Remaining(time.Second); got != 11500*time.Millisecond {
		t.Errorf("bare: got %v remaining after 1s, want 11.5s", got)
	}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Name: "ocr", Rate: 0.5, MinCalls: 4, Cooldown: 2 * time.Minute,
			SlowAfter: time.Second, SlowRate: 0.9, Probes: 2}
		if got, want := b.Snapshot(), (breaker.Snapshot{Name: "ocr"}); got != want {
			t.Errorf("new: got  %+v\nwant %+v", got, want)
		}
		p, _ := b.Enter(t.Context())
		time.Sleep(time.Second)
		b.Leave(p, success)
		call(b, success)
		fail(b, 2)
		opened := time.Now()
		time.Sleep(time.Second)
		want := breaker.Snapshot{
			Name: "ocr", State: breaker.Open, Since: opened, Why: "failure rate",
			Opened: 1, OpenedBy: "status 503: connection reset", Remaining: 119 * time.Second,
			Failures: 2, Calls: 4, Failed: 2, Slow: 1, FailureRate: 0.5, SlowRate: 0.25,
			Generation: 1,
		}
		if got := b.Snapshot(); got != want {
			t.Errorf("open: got  %+v\nwant %+v", got, want)
		}
		time.Sleep(119 * time.Second)
		b.Enter(t.Context())
		call(b, success)
		b.Enter(t.Context())
		want = breaker.Snapshot{
			Name: "ocr", State: breaker.HalfOpen, Since: opened.Add(2 * time.Minute),
			Why: "cooldown over", Opened: 1, OpenedBy: "status 503: connection reset",
			Probing: 2, Succeeded: 1, Generation: 2,
		}
		if got := b.Snapshot(); got != want {
			t.Errorf("half-open: got  %+v\nwant %+v", got, want)
		}
	})
}

// TestSnapshotAges reads a window a day later. Only time has passed.
func TestSnapshotAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Rate: 0.9, SlowRate: 1, SlowAfter: time.Hour}
		succeed(b, 20)
		fail(b, 10)
		if s := b.Snapshot(); s.Calls != 30 || s.Failed != 10 {
			t.Errorf("got %d calls, %d failed, want 30 and 10", s.Calls, s.Failed)
		}
		time.Sleep(24 * time.Hour)
		if s := b.Snapshot(); s.Calls != 0 || s.Failed != 0 || s.FailureRate != 0 {
			t.Errorf("a day later: got %+v, want no calls", s)
		}
	})
}

func TestSnapshotJSON(t *testing.T) {
	b := &breaker.Breaker{Name: "ocr"}
	b.ForceOpen()
	s := b.Snapshot()
	s.Since = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got, err := json.Marshal(s)
	want := `{"name":"ocr","state":"open","forced":true,"since":"2026-01-02T03:04:05Z",` +
		`"why":"asked for","opened":1,"rejected":0,"rejected_now":0,"remaining_ns":0,"failures":0,` +
		`"calls":0,"failed":0,"slow":0,"failure_rate":0,"slow_rate":0,"probing":0,"succeeded":0,` +
		`"failed_probes":0,"generation":1}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}

func TestStateText(t *testing.T) {
	for s, want := range map[breaker.State]string{breaker.Closed: "closed", breaker.Open: "open",
		breaker.HalfOpen: "half-open", 9: "invalid"} {
		if text, err := s.MarshalText(); s.String() != want || string(text) != want || err != nil {
			t.Errorf("State(%d): got %q and %q (%v), want %q", s, s.String(), text, err, want)
		}
	}
}

// TestHugeTimes: huge times saturate, and do not overflow into the past.
func TestHugeTimes(t *testing.T) {
	b := &breaker.Breaker{Failures: 1, Cooldown: math.MaxInt64, CooldownJitter: 1}
	fail(b, 1)
	if b.State() != breaker.Open || call(b, success) {
		t.Errorf("state %v during an endless cooldown, want open", b.State())
	}
	b.ForceHalfOpen()
	b.Enter(t.Context())
	if call(b, success) {
		t.Errorf("a second probe was admitted during an endless lease")
	}
}
