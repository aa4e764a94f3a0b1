package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// foreseeing is a recorder that foresees the rejection of attempts after the first.
type foreseeing struct{ *recorder }

func (g foreseeing) Refusal(time.Duration) error {
	*g.log = append(*g.log, g.name+" foresees")
	return errors.New("full for long")
}

// withLoop is Run with a gate of the call.
func withLoop(
	ctx context.Context, p *rebound.Policy, g gate.Gate, fn func(context.Context) error,
) error {
	l := rebound.Begin(ctx, p)
	l.Gate = g
	for {
		_, err := rebound.Try(&l, func(ctx context.Context) (int, error) { return 0, fn(ctx) })
		if err == nil {
			l.Succeed()
			return nil
		}
		d := l.Decide(err)
		if !d.Retry {
			return l.Stop(d.Reason, nil)
		}
		if err := l.Retry(d.Delay); err != nil {
			return err
		}
	}
}

// A gate of the call is like the first gate of the policy.
func TestGateOfTheCall(t *testing.T) {
	full := errors.New("full")
	fail := func(context.Context) error { return errFlaky }
	for _, row := range []struct {
		name string
		p    *rebound.Policy
		own  func(log *[]string) gate.Gate
		rest func(log *[]string) []gate.Gate
		fn   func(context.Context) error
	}{
		{name: "success", fn: func(context.Context) error { return nil }},
		{name: "failures", fn: fail},
		{name: "another gate behind it", fn: fail, rest: func(log *[]string) []gate.Gate {
			return []gate.Gate{&recorder{name: "bb", log: log}}
		}},
		{name: "it rejects", own: func(log *[]string) gate.Gate {
			return &recorder{name: "a", log: log, refuse: full}
		}},
		{name: "a later gate rejects", rest: func(log *[]string) []gate.Gate {
			return []gate.Gate{&recorder{name: "bb", log: log, refuse: full}}
		}},
		{name: "it foresees a rejection", fn: fail, own: func(log *[]string) gate.Gate {
			return foreseeing{&recorder{name: "a", log: log}}
		}},
		{name: "it is nil", own: func(*[]string) gate.Gate { return (*recorder)(nil) }},
		{name: "a breaker", p: &rebound.Policy{Breaker: &breaker.Breaker{Failures: 2}}, fn: fail},
		{name: "MaxElapsed in the gate", p: &rebound.Policy{MaxElapsed: time.Second},
			own: func(*[]string) gate.Gate { return waiting{} }},
		{name: "MaxElapsed, and a gate that ignores it", p: &rebound.Policy{MaxElapsed: time.Second},
			own: func(*[]string) gate.Gate { return stubborn{} }},
		{name: "the timeout begins behind the gate", p: &rebound.Policy{AttemptTimeout: time.Second},
			own: func(*[]string) gate.Gate { return stubborn{} },
			fn:  func(ctx context.Context) error { return ctx.Err() }},
		{name: "a panic", fn: func(context.Context) error { panic("boom") }},
	} {
		synctest.Test(t, func(t *testing.T) {
			run := func(call bool) string {
				var log []string
				own, p := gate.Gate(&recorder{name: "a", log: &log}), row.p.Clone()
				p.Backoff = backoff.Constant(time.Second)
				if row.own != nil {
					own = row.own(&log)
				}
				if row.rest != nil {
					p.Gates = row.rest(&log)
				}
				if p.Breaker != nil {
					p.Breaker = &breaker.Breaker{Failures: 2}
				}
				began := time.Now()
				var got any
				func() {
					defer func() {
						if r := recover(); r != nil {
							got = r
						}
					}()
					if call {
						got = withLoop(t.Context(), p, own, row.fn)
						return
					}
					p.Gates = slices.Insert(p.Gates, 0, own)
					got = withLoop(t.Context(), p, nil, row.fn)
				}()
				reason := ""
				if e := (*rebound.Error)(nil); errors.As(asError(got), &e) {
					reason = fmt.Sprint(e.Reason, " ", e.Attempts)
				}
				return fmt.Sprint(log, " ", reason, " ", time.Since(began))
			}
			if got, want := run(true), run(false); got != want {
				t.Errorf("%s: got %s, want %s, as with a gate of the policy", row.name, got, want)
			} else if row.name == "failures" && got != "[a enter a failed a enter a failed a enter "+
				"a failed] exhausted 3 2s" {
				t.Errorf("%s: got %s", row.name, got)
			}
		})
	}
}

func asError(v any) error {
	err, _ := v.(error)
	return err
}
