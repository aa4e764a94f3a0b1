package reboundtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundtest"
)

var errFlaky = errors.New("flaky")

func seconds(ns ...int) (waits []time.Duration) {
	for _, n := range ns {
		waits = append(waits, time.Duration(n)*time.Second)
	}
	return waits
}

// doubling has delays of 1s → 2s → 4s …, without jitter.
func doubling(attempts int) *rebound.Policy {
	return &rebound.Policy{
		Attempts: attempts,
		Backoff:  backoff.Exponential{Base: time.Second, Max: time.Hour, Jitter: backoff.Full()},
	}
}

func TestDo(t *testing.T) {
	short := doubling(9)
	short.MaxElapsed = 10 * time.Second
	throttled := doubling(4)
	throttled.Throttled = backoff.Constant(time.Minute)
	small := doubling(5)
	small.Budget = &budget.Budget{Capacity: 2}
	for _, test := range []struct {
		name     string
		policy   *rebound.Policy
		script   []error
		value    string
		attempts int
		delays   []time.Duration
		reason   rebound.Reason
	}{
		{"at once", doubling(5), nil, "yes", 1, nil, ""},
		{"nil policy", nil, nil, "yes", 1, nil, ""},
		{"later", doubling(5), []error{errFlaky, errFlaky, nil}, "yes", 3, seconds(1, 2), ""},
		{"never", doubling(5), []error{errFlaky}, "", 5, seconds(1, 2, 4, 8), rebound.Exhausted},
		{"one attempt", doubling(1), []error{errFlaky}, "", 1, nil, rebound.Exhausted},
		{"hopeless", doubling(5), []error{errFlaky, rebound.Permanent(errFlaky)}, "", 2, seconds(1),
			rebound.NotRetryable},
		{"past MaxElapsed", short, []error{errFlaky}, "", 4, seconds(1, 2, 4), rebound.PastElapsed},
		{"asked to wait", doubling(2), []error{rebound.RetryAfter(errFlaky, 90*time.Second)}, "", 2,
			seconds(90), rebound.Exhausted},
		{"asked to wait for long", doubling(2), []error{rebound.RetryAfter(errFlaky, time.Hour)}, "",
			1, nil, rebound.WaitTooLong},
		{"throttled", throttled, []error{rebound.RetryAfter(errFlaky, 0), errFlaky, nil}, "yes", 3,
			seconds(60, 2), ""},
		{"out of budget", small, []error{errFlaky}, "", 3, seconds(1, 2), rebound.OutOfBudget},
		{"invalid", &rebound.Policy{Attempts: -7}, []error{errFlaky}, "", 1, nil, rebound.Invalid},
		{"no gate", &rebound.Policy{Gates: []gate.Gate{nil}}, nil, "", 0, nil, rebound.Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := reboundtest.Script(test.script...)
			got, err := reboundtest.Do(test.policy, reboundtest.Then(script, "yes"))
			want := reboundtest.Trace[string]{
				Value: test.value, Attempts: test.attempts, Delays: test.delays,
			}
			if !reflect.DeepEqual(got, want) || script.Calls() != want.Attempts {
				t.Errorf("trace = %+v after %d calls, want %+v", got, script.Calls(), want)
			}
			if test.reason == "" && err != nil || test.reason != "" && !errors.Is(err, test.reason) {
				t.Errorf("error = %v, want one for reason %q", err, test.reason)
			}
		})
	}
}

func TestDoError(t *testing.T) {
	p := doubling(3)
	p.Name = "ocr"
	_, err := reboundtest.Do(p, reboundtest.Then(reboundtest.Script(errFlaky), 0))
	want := "rebound: ocr: attempt 3 of 3: flaky (exhausted after 3s)"
	if err == nil || err.Error() != want || !errors.Is(err, errFlaky) {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// TestDoKeepsTheValue checks that fn's last value is returned beside the error.
func TestDoKeepsTheValue(t *testing.T) {
	n := 0
	got, err := reboundtest.Do(doubling(3), func(context.Context) (int, error) {
		n++
		return n, errFlaky
	})
	if got.Value != 3 || err == nil {
		t.Errorf("value, error = %d, %v, want 3 and an error", got.Value, err)
	}
}

func TestDoLeavesGatesWhenFnPanics(t *testing.T) {
	var log []string
	p := &rebound.Policy{Gates: []gate.Gate{&diary{log: &log}}}
	defer func() {
		if r := recover(); r != "boom" {
			t.Errorf("recovered %v, want boom", r)
		}
		if want := []string{"enter", "leave 0 unknown"}; !slices.Equal(log, want) {
			t.Errorf("the gate saw %q, want %q", log, want)
		}
	}()
	reboundtest.Do(p, func(context.Context) (int, error) { panic("boom") })
}

// diary is a gate that records its calls, and rejects every fourth attempt if it is moody.
type diary struct {
	log   *[]string
	moody bool
	n     int
}

func (d *diary) Enter(context.Context) (gate.Pass, error) {
	d.n++
	if d.moody && d.n%4 == 0 {
		*d.log = append(*d.log, "refuse")
		return gate.Pass{}, errors.New("moody")
	}
	*d.log = append(*d.log, "enter")
	return gate.Pass{}, nil
}

func (d *diary) Leave(_ gate.Pass, o gate.Outcome) {
	*d.log = append(*d.log, fmt.Sprintf("leave %d %v", o.Result, o.Fault.Kind))
}

// TestDoIsLikeTheRealThing makes thousands of different calls with the engine in a bubble, where it
// really waits. It compares every trace, event, gate and error with those of Do. Two things differ
// by design: the jitter, and changes of a breaker or a budget during a delay.
func TestDoIsLikeTheRealThing(t *testing.T) {
	ends := map[rebound.Reason]bool{}
	for seed := range uint64(1000) {
		synctest.Test(t, func(t *testing.T) {
			dry := play(seed, ends, func(p *rebound.Policy, fn counted) (int, error) {
				trace, err := reboundtest.Do(p, fn)
				return trace.Value, err
			})
			before := time.Now()
			real := play(seed, ends, func(p *rebound.Policy, fn counted) (int, error) {
				return rebound.Do(t.Context(), p, fn)
			})
			for i := range max(len(dry), len(real)) {
				if i >= len(dry) || i >= len(real) || timeless(dry[i]) != timeless(real[i]) {
					t.Fatalf("seed %d, from line %d: reboundtest.Do:\n%q\nrebound.Do, in %v:\n%q",
						seed, i, dry[i:], time.Since(before), real[i:])
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	for _, r := range []rebound.Reason{
		rebound.Exhausted, rebound.NotRetryable, rebound.PastElapsed, rebound.OutOfBudget,
		rebound.Rejected, rebound.NotIdempotent, rebound.WaitTooLong, rebound.AlreadyRetried,
		rebound.Invalid,
	} {
		if !ends[r] {
			t.Errorf("no call ended for reason %q", r)
		}
	}
}

var times = regexp.MustCompile(`(open for another|the attempt's) [0-9hms.]+`)

// timeless is a line without the time for which a breaker stays open, and without the time that an
// attempt had, where MaxElapsed left less than AttemptTimeout.
func timeless(line string) string { return times.ReplaceAllString(line, "$1") }

type counted = func(context.Context) (int, error)

// play makes three calls with a random policy, and returns everything observable.
func play(
	seed uint64, ends map[rebound.Reason]bool,
	do func(*rebound.Policy, counted) (int, error),
) (log []string) {
	r := rand.New(rand.NewPCG(seed, 0))
	p := randomPolicy(r)
	if r.IntN(3) == 0 {
		p.Gates = append(p.Gates, &diary{log: &log, moody: r.IntN(2) == 0})
	}
	p.Observe = func(_ context.Context, e rebound.Event) {
		log = append(log, fmt.Sprintf("%v %q %d %v %v %v %v %v %q %v", e.Kind, e.Policy, e.Attempt,
			e.Fault.Kind, e.Fault.Sent, e.Fault.Err, e.Delay, e.Elapsed, e.Reason, e.Err))
	}
	for range 3 {
		n := 0
		v, err := do(p, func(ctx context.Context) (int, error) {
			n++
			return n, randomError(ctx, r, p.AttemptTimeout > 0)
		})
		log = append(log, fmt.Sprintf("value %d, attempts %d, error %v", v, n, err))
		var e *rebound.Error
		if errors.As(err, &e) {
			ends[e.Reason] = true
			log = append(log, fmt.Sprintf("%q %d %q %v %v %v %v", e.Policy, e.Attempts, e.Reason,
				e.Fault.Kind, e.Elapsed, e.Err, e.Cause))
		}
	}
	return log
}

func randomPolicy(r *rand.Rand) *rebound.Policy {
	one := func(p *rebound.Policy, n int, set func()) {
		if r.IntN(n) == 0 {
			set()
		}
	}
	p := &rebound.Policy{Name: "random", Attempts: r.IntN(7) - 1, Budget: budget.Unlimited}
	p.Backoff = []backoff.Backoff{
		backoff.Constant(0), backoff.Constant(3 * time.Second),
		backoff.Exponential{Base: time.Second, Jitter: backoff.None()},
		backoff.Linear{Base: time.Second, Jitter: backoff.None()},
	}[r.IntN(4)]
	one(p, 4, func() { p.Throttled = backoff.Constant(time.Minute) })
	one(p, 3, func() { p.MaxElapsed = time.Duration(1+r.IntN(20)) * time.Second })
	one(p, 3, func() { p.AttemptTimeout = time.Duration(1+r.IntN(5)) * time.Second / 2 })
	one(p, 8, func() { p.MaxRetryAfter = time.Minute })
	one(p, 8, func() { p.NonIdempotent = true })
	one(p, 8, func() { p.RetryIf = func(f fault.Fault) bool { return f.Kind == fault.Transient } })
	one(p, 8, func() { p.Budget = &budget.Budget{Capacity: 3, Refill: 1e-12} })
	one(p, 8, func() { p.Breaker = &breaker.Breaker{Failures: 2, Cooldown: 1000 * time.Hour} })
	return p
}

var errNotSent = &describedError{fault.Fault{Kind: fault.Transient, Sent: fault.NotSent}}
var errFinal = &describedError{fault.Fault{Kind: fault.Overloaded, Final: true}}
var errAnswer = &describedError{fault.Fault{Kind: fault.None}}

type describedError struct{ fault fault.Fault }

func (e *describedError) Error() string              { return "described" }
func (e *describedError) DescribeFault() fault.Fault { return e.fault }

func randomError(ctx context.Context, r *rand.Rand, hang bool) error {
	switch r.IntN(12) {
	case 0:
		return nil
	case 1:
		return rebound.Permanent(errFlaky)
	case 2:
		return rebound.RetryAfter(errFlaky, time.Duration(r.IntN(2))*time.Hour)
	case 3:
		return errFinal
	case 4:
		return errAnswer
	case 5:
		return context.Canceled // not the caller's
	case 6:
		if hang {
			<-ctx.Done()
			return ctx.Err()
		}
	case 7:
		if hang {
			<-ctx.Done()
			return errFlaky
		}
	}
	if r.IntN(2) == 0 {
		return errNotSent
	}
	return errFlaky
}
