package outage

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// failed is an attempt that failed with a kind.
func failed(kind fault.Kind) gate.Outcome {
	return gate.Outcome{Result: gate.Failed, Fault: fault.Fault{Kind: kind, Err: errors.New("no")}}
}

var (
	ok        = gate.Outcome{Result: gate.OK}
	bad       = failed(fault.Transient)
	permanent = failed(fault.Permanent)
	limited   = failed(fault.RateLimited)
	skipped   = gate.Outcome{Result: gate.Skipped}
)

// A failure counts unless the row failed before and another row was answered since.
func TestFailuresThatCount(t *testing.T) {
	type step struct {
		row     int
		outcome gate.Outcome
		want    int // failures in a row
	}
	for name, steps := range map[string][]step{
		"one row":                    {{0, bad, 1}, {0, bad, 2}, {0, bad, 3}},
		"rows":                       {{0, bad, 1}, {1, bad, 2}, {0, bad, 3}, {1, bad, 4}},
		"an answer between":          {{0, bad, 1}, {1, ok, 0}, {0, bad, 0}, {0, bad, 0}, {2, bad, 1}},
		"a 404 is an answer":         {{0, bad, 1}, {1, permanent, 0}, {0, bad, 0}, {2, bad, 1}},
		"a 429 is none":              {{0, bad, 1}, {1, limited, 1}, {0, bad, 2}},
		"a row that was not sent":    {{0, bad, 1}, {1, skipped, 1}, {0, bad, 2}},
		"a 429 is no failure":        {{0, limited, 0}, {1, ok, 0}, {0, bad, 1}, {0, bad, 2}},
		"later answers":              {{1, ok, 0}, {1, ok, 0}, {0, bad, 1}, {0, bad, 2}},
		"suspects in an outage":      {{0, bad, 1}, {1, ok, 0}, {0, bad, 0}, {2, bad, 1}, {0, bad, 1}},
		"a suspect that is answered": {{0, bad, 1}, {1, ok, 0}, {0, bad, 0}, {2, bad, 1}, {0, ok, 0}},
	} {
		b := &breaker.Breaker{Failures: 100}
		var service Service
		rows := make([]History, 3)
		for i, s := range steps {
			g := Gate{b, &service, func() *History { return &rows[s.row] }}
			pass, err := g.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			g.Leave(pass, s.outcome)
			if got := b.Snapshot().Failures; got != s.want {
				t.Errorf("%s, step %d: %d failures in a row, want %d", name, i, got, s.want)
			}
		}
	}
}

// A suspect is a probe like any other row. If it fails, the breaker opens again.
func TestSuspectAsProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		row := Suspect
		g := Gate{opened(t), new(Service), func() *History { return &row }}
		g.Service.answered()
		for _, cooldown := range []time.Duration{5, 10, 20, 30, 30} {
			if _, err := g.Enter(t.Context()); err == nil {
				t.Fatal("an open breaker admits a row")
			}
			if left := g.Snapshot().Remaining; left != cooldown*time.Second {
				t.Errorf("the cooldown is %v, want %vs", left, int(cooldown))
			}
			time.Sleep(cooldown * time.Second)
			pass, err := g.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			g.Leave(pass, bad)
		}
		time.Sleep(30 * time.Second)
		pass, _ := g.Enter(t.Context())
		if g.Leave(pass, ok); g.State() != breaker.Closed {
			t.Errorf("%v after a good probe", g.State())
		}
	})
}

// A run waits for a minute until there is a first answer, and for an hour in all outages together.
// Then every row is admitted.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var row History
		g := Gate{&breaker.Breaker{}, new(Service), func() *History { return &row }}
		for i, step := range []struct {
			sleep    time.Duration
			answered bool // after the sleep
			admitted bool
			away     time.Duration // after a rejection
		}{
			{time.Hour, false, false, 0},
			{59 * time.Second, false, false, 59 * time.Second},
			{time.Minute, true, false, 0}, // a probe that took its time
			{50 * time.Minute, false, false, 50 * time.Minute},
			{time.Minute, true, false, 0},
			{6 * time.Minute, false, false, 6 * time.Minute},
			{time.Second, false, false, 361 * time.Second},
			{59 * time.Second, false, false, 7 * time.Minute},
			{time.Second, false, true, 421 * time.Second},
			{time.Second, true, true, 0},
		} {
			if time.Sleep(step.sleep); step.answered {
				g.Leave(gate.Pass{}, ok)
			}
			if !step.admitted {
				g.ForceOpen()
			}
			_, err := g.Enter(t.Context())
			if (err == nil) != step.admitted || g.Service.Away() != step.away {
				t.Errorf("step %d: %v, away for %v; want admitted = %v, away for %v", i, err,
					g.Service.Away(), step.admitted, step.away)
			}
		}
	})
}

// Before the first answer, a minute is enough.
func TestWaitForFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Gate{opened(t), new(Service), nil}
		for _, at := range []time.Duration{0, First - 1} {
			time.Sleep(at)
			g.ForceOpen()
			if _, err := g.Enter(t.Context()); err == nil {
				t.Fatalf("admitted after %v", at)
			}
		}
		if err := g.Refusal(0); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("%v, want an open breaker", err)
		}
		if err := g.Refusal(time.Nanosecond); err != nil || g.Service.Left() != time.Nanosecond {
			t.Errorf("%v, and %v left, want no error after 1ns", err, g.Service.Left())
		}
		time.Sleep(time.Nanosecond)
		if _, err := g.Enter(t.Context()); err != nil || g.State() != breaker.Closed {
			t.Errorf("%v and %v after a minute, want the row admitted", err, g.State())
		}
	})
}

// opened returns the breaker of the default policy after 100 failures in a row.
func opened(t *testing.T) *breaker.Breaker {
	t.Helper()
	b := NewBreaker()
	for i := range 100 {
		pass, err := b.Enter(t.Context())
		if err != nil {
			t.Fatalf("failure %d: %v", i, err)
		}
		b.Leave(pass, bad)
	}
	return b
}
