package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
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
	"github.com/rebound-go/rebound/internal/mark"
)

var errFlaky = errors.New("flaky")

// at once, so that tests which are not about waiting do not wait.
var atOnce = backoff.Constant(0)

// failing returns a function that always fails with err, and counts its calls.
func failing(calls *int, err error) func(context.Context) error {
	return func(context.Context) error {
		*calls++
		return err
	}
}

func mustError(t *testing.T, err error) *rebound.Error {
	t.Helper()
	var e *rebound.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want a *rebound.Error", err, err)
	}
	return e
}

// recorder is a gate that records its calls.
type recorder struct {
	name   string
	log    *[]string
	refuse error
	last   gate.Outcome
}

func (g *recorder) Enter(context.Context) (gate.Pass, error) {
	if g.refuse != nil {
		*g.log = append(*g.log, g.name+" refuses")
		return gate.Pass{}, g.refuse
	}
	*g.log = append(*g.log, g.name+" enter")
	return gate.Pass{A: 7, B: uint64(len(g.name))}, nil
}

func (g *recorder) Leave(p gate.Pass, o gate.Outcome) {
	word := map[gate.Result]string{
		gate.OK: " ok", gate.Failed: " failed", gate.Skipped: " skipped",
	}[o.Result]
	if p != (gate.Pass{A: 7, B: uint64(len(g.name))}) {
		word += " with another's pass"
	}
	*g.log = append(*g.log, g.name+word)
	g.last = o
}

func TestGatesNest(t *testing.T) {
	full := errors.New("full")
	for _, row := range []struct {
		name   string
		refuse error
		fn     func(context.Context) error
		want   []string
		reason rebound.Reason
	}{
		{"success", nil, func(context.Context) error { return nil },
			[]string{"a enter", "bb enter", "bb ok", "a ok"}, ""},
		{"failure", nil, func(context.Context) error { return rebound.Permanent(errFlaky) },
			[]string{"a enter", "bb enter", "bb failed", "a failed"}, rebound.NotRetryable},
		{"a later gate refuses", full, nil,
			[]string{"a enter", "bb refuses", "a skipped"}, rebound.Rejected},
	} {
		var log []string
		p := &rebound.Policy{Backoff: atOnce, Gates: []gate.Gate{
			&recorder{name: "a", log: &log}, &recorder{name: "bb", log: &log, refuse: row.refuse},
		}}
		err := rebound.Run(t.Context(), p, row.fn)
		if !slices.Equal(log, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, log, row.want)
		}
		if row.reason != "" && !errors.Is(err, row.reason) || row.reason == "" && err != nil {
			t.Errorf("%s: got %v, want reason %q", row.name, err, row.reason)
		}
	}
}

// Rule 9: after a panic or a Goexit in fn every gate is left with a failure, and the panic
// continues.
func TestPanicLeavesGates(t *testing.T) {
	for name, end := range map[string]func(){
		"panic": func() { panic("boom") }, "Goexit": runtime.Goexit,
	} {
		var log []string
		b := &breaker.Breaker{Failures: 1}
		p := &rebound.Policy{Breaker: b, Gates: []gate.Gate{
			&recorder{name: "a", log: &log}, &recorder{name: "bb", log: &log},
		}}
		recovered := make(chan any, 1)
		go func() {
			defer func() { recovered <- recover() }()
			_ = rebound.Run(context.Background(), p, func(context.Context) error {
				end()
				return nil
			})
		}()
		got := <-recovered
		if name == "panic" && got != "boom" {
			t.Errorf("recovered %v, want the panic of fn", got)
		}
		if want := []string{"a enter", "bb enter", "bb failed", "a failed"}; !slices.Equal(
			log, want) {
			t.Errorf("%s: got %q, want %q", name, log, want)
		}
		if b.State() != breaker.Open {
			t.Errorf("%s: breaker is %v, want it open: a panic is a failure", name, b.State())
		}
	}
}

// Rule 11: an open breaker ends the call at once. If it opened between two attempts, its error is
// the Cause, and the attempt's failure stays in Err.
func TestOpenBreakerStopsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rebound.Policy{Attempts: 5, Breaker: &breaker.Breaker{Failures: 2}}
		calls := 0
		v, err := rebound.Do(t.Context(), p, func(context.Context) (int, error) {
			calls++
			return calls, errFlaky
		})
		if v != 2 {
			t.Errorf("got the value %d, want the last attempt's", v)
		}
		e := mustError(t, err)
		if calls != 2 || e.Attempts != 2 || e.Reason != rebound.Rejected || e.Err != errFlaky ||
			!errors.Is(err, breaker.ErrOpen) || !errors.Is(err, errFlaky) {
			t.Errorf("got %d calls and %+v", calls, e)
		}
		begin := time.Now()
		err = rebound.Run(t.Context(), p, failing(&calls, errFlaky))
		e = mustError(t, err)
		var open *breaker.OpenError
		if calls != 2 || e.Attempts != 0 || e.Err != nil || !errors.As(err, &open) {
			t.Errorf("rejected: got %d calls and %+v", calls, e)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("rejected after %v, want at once", took)
		}
	})
}

// Rule 11: a call does not wait for an attempt that its breaker will reject, and a retry that is
// rejected after its delay costs nothing.
func TestNoWaitBehindAnOpenBreaker(t *testing.T) {
	var hosts breaker.Group[string]
	hosts.Template.Failures = 1
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		calls  int
		took   time.Duration
	}{
		{"open for longer", &rebound.Policy{Breaker: &breaker.Breaker{Failures: 1}}, 1, 0},
		{"as a gate", &rebound.Policy{Gates: []gate.Gate{hosts.For("a")}}, 1, 0},
		{"open for less", &rebound.Policy{
			Breaker: &breaker.Breaker{Failures: 1, Cooldown: time.Second},
			Backoff: backoff.Constant(2 * time.Second)}, 3, 4 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &budget.Budget{}
				begin, calls := time.Now(), 0
				row.policy.Budget = b
				err := rebound.Run(t.Context(), row.policy, failing(&calls, errFlaky))
				if took := time.Since(begin); calls != row.calls || took != row.took {
					t.Errorf("got %d calls, %v: %v; want %d, %v", calls, took, err, row.calls,
						row.took)
				}
				if row.calls == 1 && (!errors.Is(err, breaker.ErrOpen) ||
					!errors.Is(err, errFlaky) || b.Level() != 10) {
					t.Errorf("got %v, and %v tokens left of 10", err, b.Level())
				}
			})
		})
	}
}

func TestRefusedRetryReturnsItsToken(t *testing.T) {
	b, g := &budget.Budget{Refill: 1e-9}, &recorder{name: "a", log: new([]string)}
	p := &rebound.Policy{Budget: b, Backoff: atOnce, Gates: []gate.Gate{g}}
	err := rebound.Run(t.Context(), p, func(context.Context) error {
		g.refuse = errors.New("full")
		return errFlaky
	})
	if !errors.Is(err, rebound.Rejected) || b.Level() != 10 {
		t.Errorf("got %v, and %v tokens left of 10", err, b.Level())
	}
}

// Rule 10, as far as the engine decides it: what caused the end of an attempt.
func TestWhatTheBreakerIsTold(t *testing.T) {
	for _, row := range []struct {
		name string
		fn   func(ctx context.Context, cancel func()) error
		open bool
	}{
		{"an unknown error", func(context.Context, func()) error { return errFlaky }, true},
		{"a permanent answer", func(context.Context, func()) error {
			return rebound.Permanent(errFlaky)
		}, false},
		{"the caller's cancellation", func(ctx context.Context, cancel func()) error {
			cancel()
			return ctx.Err()
		}, false},
		{"the caller's cancellation, by another name", func(ctx context.Context, cancel func(),
		) error {
			cancel()
			return errFlaky
		}, false},
		{"the caller's deadline in the middle", func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			return ctx.Err()
		}, true},
		{"a rate limit", func(context.Context, func()) error {
			return rebound.RetryAfter(errFlaky, time.Hour)
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				b := &breaker.Breaker{Failures: 1}
				_ = rebound.Run(ctx, &rebound.Policy{Breaker: b, Attempts: 1},
					func(ctx context.Context) error { return row.fn(ctx, cancel) })
				if got := b.State() == breaker.Open; got != row.open {
					t.Errorf("breaker is %v, want open = %v", b.State(), row.open)
				}
			})
		})
	}
}

// A gate whose wait is interrupted by the context's end has not rejected the call.
func TestGateInterruptedByContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		err := rebound.Run(ctx, &rebound.Policy{Gates: []gate.Gate{waiting{}}},
			failing(&calls, errFlaky))
		e := mustError(t, err)
		if calls != 0 || e.Reason != rebound.Canceled || e.Attempts != 0 ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %d calls and %+v", calls, e)
		}
	})
}

type waiting struct{}

func (waiting) Enter(ctx context.Context) (gate.Pass, error) {
	<-ctx.Done()
	return gate.Pass{}, errors.New("limiter: gave up waiting")
}
func (waiting) Leave(gate.Pass, gate.Outcome) {}

// A rejection below is final above: no call waits for an open breaker.
func TestRefusalBelowIsFinalAbove(t *testing.T) {
	b := &breaker.Breaker{}
	b.ForceOpen()
	calls := 0
	err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce},
		func(ctx context.Context) error {
			calls++
			return rebound.Run(ctx, &rebound.Policy{Breaker: b}, failing(new(int), nil))
		})
	if calls != 1 || !errors.Is(err, rebound.AlreadyRetried) || !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("got %d calls and %v", calls, err)
	}
}

// bulkhead admits and counts all attempts.
type bulkhead struct{ inside, total int }

func (b *bulkhead) Enter(context.Context) (gate.Pass, error) {
	b.inside++
	b.total++
	return gate.Pass{}, nil
}

func (b *bulkhead) Leave(gate.Pass, gate.Outcome) { b.inside-- }

// If a layer below never made the call, because a limiter rejected it or it must not be repeated,
// it is not retried and does not count as a failure of the service.
func TestRefusalsBelow(t *testing.T) {
	full := &recorder{name: "a", log: new([]string), refuse: errors.New("full")}
	for name, inner := range map[string]*rebound.Policy{
		"a gate":         {Gates: []gate.Gate{full}},
		"not idempotent": {NonIdempotent: true},
		"invalid":        {MaxRetryAfter: -1},
	} {
		b, calls := &breaker.Breaker{Failures: 1}, 0
		err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce, Breaker: b},
			func(ctx context.Context) error {
				calls++
				return rebound.Run(ctx, inner, failing(new(int), errFlaky))
			})
		if calls != 1 || !errors.Is(err, rebound.AlreadyRetried) {
			t.Errorf("%s: got %d calls and %v", name, calls, err)
		}
		if name == "a gate" && b.State() != breaker.Closed {
			t.Errorf("%s: the outer breaker is %v", name, b.State())
		}
	}
}

// Rules 4, 6, 7 and 8 as a table: what a call of a failing function does, and when it is over.
func TestWhenCallsEnd(t *testing.T) {
	second := backoff.Constant(time.Second)
	asked := func(d time.Duration) error { return rebound.RetryAfter(errFlaky, d) }
	for _, row := range []struct {
		name     string
		policy   *rebound.Policy
		deadline time.Duration
		err      error
		calls    int
		took     time.Duration
		want     rebound.Reason
	}{
		{"a wait the deadline cuts off is not begun", &rebound.Policy{Backoff: second},
			1500 * time.Millisecond, errFlaky, 2, time.Second, rebound.PastDeadline},
		{"nor one that ends with it", &rebound.Policy{Backoff: second},
			time.Second, errFlaky, 1, 0, rebound.PastDeadline},
		{"MaxElapsed", &rebound.Policy{Backoff: second, MaxElapsed: 1500 * time.Millisecond},
			0, errFlaky, 2, time.Second, rebound.PastElapsed},
		{"no wait after the last attempt", &rebound.Policy{Backoff: second},
			0, errFlaky, 3, 2 * time.Second, rebound.Exhausted},
		{"one attempt", &rebound.Policy{Backoff: second, Attempts: 1},
			0, errFlaky, 1, 0, rebound.Exhausted},
		{"a zero delay does not wait", &rebound.Policy{Backoff: atOnce},
			0, errFlaky, 3, 0, rebound.Exhausted},
		{"an asked wait past the deadline", &rebound.Policy{}, time.Minute, asked(time.Hour / 60),
			1, 0, rebound.PastDeadline},
		{"an asked wait past the default limit", &rebound.Policy{}, 0,
			asked(2*time.Minute + 1), 1, 0, rebound.WaitTooLong},
		{"an asked wait past MaxRetryAfter", &rebound.Policy{MaxRetryAfter: time.Second}, 0,
			asked(2 * time.Second), 1, 0, rebound.WaitTooLong},
		{"a negative asked wait counts as none", &rebound.Policy{Throttled: second}, 0,
			asked(-time.Hour), 3, 2 * time.Second, rebound.Exhausted},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin, calls := t.Context(), time.Now(), 0
				if row.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.deadline)
					defer cancel()
				}
				err := rebound.Run(ctx, row.policy, failing(&calls, row.err))
				e, took := mustError(t, err), time.Since(begin)
				if calls != row.calls || took != row.took || e.Reason != row.want {
					t.Errorf("got %d calls, %v, %v; want %d, %v, %v", calls, took, e.Reason,
						row.calls, row.took, row.want)
				}
				if !errors.Is(err, errFlaky) {
					t.Errorf("%v has lost the last error", err)
				}
			})
		})
	}
}

// Rule 7: every delay ends at once when the context ends, and leaves no timer.
func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- rebound.Run(ctx, &rebound.Policy{Backoff: backoff.Constant(time.Hour)},
				failing(new(int), errFlaky))
		}()
		synctest.Wait()
		begin := time.Now()
		cancel()
		err := <-done
		if took := time.Since(begin); took != 0 || !errors.Is(err, rebound.Canceled) {
			t.Errorf("ended %v after the context, with %v", took, err)
		}
	})
}

// A context that has ended before the call: nothing is attempted.
func TestDeadContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	quit := errors.New("quit")
	cancel(quit)
	for name, p := range map[string]*rebound.Policy{
		"plain": nil, "observed": {Observe: func(context.Context, rebound.Event) {}},
	} {
		calls := 0
		e := mustError(t, rebound.Run(ctx, p, failing(&calls, nil)))
		if calls != 0 || e.Attempts != 0 || e.Reason != rebound.Canceled || e.Cause != quit {
			t.Errorf("%s: got %d calls and %+v", name, calls, e)
		}
	}
}

// MaxElapsed also bounds the wait in gates, and no attempt begins after it.
func TestMaxElapsedBoundsGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, g := range map[string]gate.Gate{"obeys it": waiting{}, "ignores it": stubborn{}} {
			begin, calls := time.Now(), 0
			err := rebound.Run(t.Context(), &rebound.Policy{MaxElapsed: 2 * time.Second,
				Gates: []gate.Gate{g}}, failing(&calls, nil))
			if calls != 0 || !errors.Is(err, rebound.PastElapsed) {
				t.Errorf("%s: got %d calls and %v after %v", name, calls, err, time.Since(begin))
			}
		}
	})
}

// No attempt begins if the caller's context ended while a gate waited, although the gate admits it.
func TestCallEndsInAGate(t *testing.T) {
	for _, p := range []*rebound.Policy{{}, {MaxElapsed: time.Hour}, {AttemptTimeout: time.Hour},
		{Breaker: &breaker.Breaker{}}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		quit, calls := errors.New("quit"), 0
		var log []string
		p.Gates = []gate.Gate{&recorder{name: "outer", log: &log}, entering(func() { cancel(quit) })}
		e := mustError(t, rebound.Run(ctx, p, failing(&calls, nil)))
		if calls != 0 || e.Attempts != 0 || e.Reason != rebound.Canceled || e.Cause != quit {
			t.Errorf("%+v: got %d calls and %+v", p, calls, e)
		}
		if want := []string{"outer enter", "outer skipped"}; !slices.Equal(log, want) {
			t.Errorf("%+v: got %q, want %q", p, log, want)
		}
	}
}

// entering is a gate that does something on Enter.
type entering func()

func (g entering) Enter(context.Context) (gate.Pass, error) { g(); return gate.Pass{}, nil }
func (entering) Leave(gate.Pass, gate.Outcome)              {}

// stubborn is a gate that waits for a minute and ignores its context.
type stubborn struct{ waiting }

func (stubborn) Enter(context.Context) (gate.Pass, error) {
	<-time.After(time.Minute)
	return gate.Pass{}, nil
}

// Rule 15: elapsed times count from the start if MaxElapsed, AttemptTimeout or Observe needs them;
// otherwise there are none.
func TestElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error {
			time.Sleep(time.Second)
			return errFlaky
		}
		watch := func(context.Context, rebound.Event) {}
		for _, row := range []struct {
			name   string
			policy *rebound.Policy
			want   time.Duration
		}{
			{"no clock", &rebound.Policy{Backoff: atOnce}, 0},
			{"AttemptTimeout", &rebound.Policy{Backoff: atOnce, AttemptTimeout: time.Minute},
				3 * time.Second},
			{"observed", &rebound.Policy{Backoff: atOnce, Observe: watch}, 3 * time.Second},
			{"MaxElapsed", &rebound.Policy{Backoff: atOnce, MaxElapsed: time.Minute},
				3 * time.Second},
		} {
			e := mustError(t, rebound.Run(t.Context(), row.policy, slow))
			if e.Elapsed != row.want {
				t.Errorf("%s: got %v, want %v", row.name, e.Elapsed, row.want)
			}
		}
	})
}

// A resumed call continues from its State.
func TestResume(t *testing.T) {
	p := &rebound.Policy{Name: "job", Attempts: 4, MaxElapsed: time.Hour,
		Backoff: backoff.Exponential{Base: time.Second, Jitter: backoff.None()}}
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		s := rebound.State{Attempt: 1, Elapsed: 10 * time.Minute, Prev: time.Second}
		var err error
		for err == nil {
			l := rebound.Resume(t.Context(), p, s)
			l.Sleep = func(_ context.Context, d time.Duration) { waits = append(waits, d) }
			_, failed := rebound.Try(&l, func(context.Context) (int, error) {
				time.Sleep(time.Minute)
				return 0, errFlaky
			})
			if d := l.Decide(failed); d.Retry {
				err = l.Retry(d.Delay)
			} else {
				err = l.Stop(d.Reason, nil)
			}
			s = l.State()
		}
		if want := []time.Duration{2 * time.Second, 4 * time.Second}; !slices.Equal(waits, want) {
			t.Errorf("got delays of %v, want %v", waits, want)
		}
		if want := "rebound: job: attempt 4 of 4: flaky (exhausted after 13m0s)"; err.Error() != want {
			t.Errorf("got %v, want %v", err, want)
		}
	})
}

// A durable engine may wait for hours, and may retry an error that a layer below has given up on.
func TestResumeDurable(t *testing.T) {
	inner := &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(0)}
	exhausted := rebound.Run(t.Context(), inner, func(context.Context) error { return errFlaky })
	for _, durable := range []bool{false, true} {
		l := rebound.Resume(t.Context(), &rebound.Policy{}, rebound.State{Durable: durable})
		if d := l.Decide(exhausted); d.Retry != durable {
			t.Errorf("durable %v: got %+v", durable, d)
		}
		if s := l.State(); s.Attempt != 1 || s.Durable != durable {
			t.Errorf("durable %v: got the state %+v", durable, s)
		}
	}
}

// The context of a durable loop is that of one attempt: its deadline ends the attempt, not a delay.
func TestResumeDurableDeadline(t *testing.T) {
	canceled := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		return ctx, cancel
	}
	timed := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}
	p := &rebound.Policy{Backoff: backoff.Constant(time.Hour)}
	again := rebound.Decision{Retry: true, Delay: time.Hour}
	no := func(r rebound.Reason) rebound.Decision { return rebound.Decision{Reason: r} }
	for _, row := range []struct {
		name    string
		durable bool
		end     func(context.Context) (context.Context, context.CancelFunc)
		err     error // nil = that of the context
		waits   bool  // until the context ends
		want    rebound.Decision
		kind    fault.Kind
	}{
		{"at once", true, timed, errFlaky, false, again, fault.Unknown},
		{"expired", true, timed, nil, true, again, fault.Transient},
		{"in other words", true, timed, errFlaky, true, again, fault.Transient},
		{"as a cancellation", true, timed, context.Canceled, true, again, fault.Transient},
		{"permanent", true, timed, rebound.Permanent(errFlaky), true,
			no(rebound.NotRetryable), fault.Permanent},
		{"canceled", true, canceled, nil, true, no(rebound.Canceled), fault.Canceled},
		{"not durable", false, timed, errFlaky, false, no(rebound.PastDeadline), fault.Unknown},
		{"not durable, expired", false, timed, nil, true, no(rebound.Canceled), fault.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := row.end(t.Context())
				defer cancel()
				l := rebound.Resume(ctx, p, rebound.State{Durable: row.durable})
				l.U = func() float64 { return -1 }
				_, err := rebound.Try(&l, func(ctx context.Context) (int, error) {
					if row.waits {
						<-ctx.Done()
					}
					if row.err != nil {
						return 0, row.err
					}
					return 0, ctx.Err()
				})
				if d := l.Decide(err); d != row.want || l.Fault().Kind != row.kind {
					t.Errorf("got %+v for %v, want %+v for %v", d, l.Fault().Kind, row.want, row.kind)
				}
			})
		})
	}
}

// A retry that a job engine makes later raises the event of a retry, and costs no token.
func TestAnnounce(t *testing.T) {
	var got []rebound.Event
	p := &rebound.Policy{Budget: new(budget.Budget)}
	p.Observe = func(_ context.Context, e rebound.Event) { got = append(got, e) }
	l := rebound.Resume(t.Context(), p, rebound.State{Attempt: 1, Durable: true})
	_, err := rebound.Try(&l, func(context.Context) (int, error) { return 0, errFlaky })
	l.Decide(err)
	l.Announce(time.Hour)
	if len(got) != 1 || got[0].Kind != rebound.Retrying || got[0].Attempt != 2 ||
		got[0].Delay != time.Hour || got[0].Err != errFlaky {
		t.Errorf("got the events %+v", got)
	}
	if level := p.Budget.Level(); level != p.Budget.Size() {
		t.Errorf("got a budget of %v, want a full one", level)
	}
}

// Redirect is not charged; Retry is. Both check the bounds that Decide did not check.
func TestRedirect(t *testing.T) {
	p := &rebound.Policy{MaxElapsed: time.Minute, Backoff: backoff.Constant(time.Second)}
	next := map[string]func(*rebound.Loop, time.Duration) error{
		"Retry": (*rebound.Loop).Retry, "Redirect": (*rebound.Loop).Redirect,
	}
	for _, row := range []struct {
		call  string
		delay time.Duration
		want  error
		spent float64
	}{
		{"Retry", time.Second, nil, 1},
		{"Redirect", time.Second, nil, 0},
		{"Retry", time.Hour, rebound.PastElapsed, 0},
		{"Redirect", time.Hour, rebound.PastElapsed, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := p.Clone()
			l := rebound.Begin(t.Context(), q)
			d := l.Decide(errFlaky)
			if err := next[row.call](&l, row.delay); !errors.Is(err, row.want) ||
				(err == nil) != (row.want == nil) || !d.Retry {
				t.Errorf("%s(%v): got %v, want %v", row.call, row.delay, err, row.want)
			}
			if spent := 10 - q.RetryBudget().Level(); spent > row.spent || spent < row.spent-0.2 {
				t.Errorf("%s(%v) cost %v tokens, want %v", row.call, row.delay, spent, row.spent)
			}
		})
	}
}

// MaxElapsed ends the attempt under way, whether its policy has other timeouts or not, and the
// waits of gates.
func TestMaxElapsedCutsTheAttempt(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	mute := func(ctx context.Context) error { <-ctx.Done(); return errors.New("gone") }
	for name, fn := range map[string]func(context.Context) error{"hang": hang, "mute": mute} {
		for _, p := range []*rebound.Policy{
			{MaxElapsed: 3 * time.Second},
			{MaxElapsed: 3 * time.Second, AttemptTimeout: 2 * time.Second, Backoff: atOnce},
			{MaxElapsed: 3 * time.Second, Attempts: 1},
			{MaxElapsed: 3 * time.Second, AttemptTimeout: 2 * time.Second, Attempts: 2, Backoff: atOnce},
			{MaxElapsed: 3 * time.Second, Breaker: &breaker.Breaker{Failures: 9}},
			{MaxElapsed: 3 * time.Second, Gates: []gate.Gate{open{}}},
		} {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := rebound.Run(t.Context(), p, fn)
				e := mustError(t, err)
				if took := time.Since(begin); took != 3*time.Second || e.Elapsed != took ||
					!errors.Is(err, rebound.PastElapsed) || e.Fault.Kind != fault.Transient ||
					!e.Timeout() && name == "hang" {
					t.Errorf("%s, %+v: got %v after %v", name, p, err, took)
				}
				if p.Breaker != nil && p.Breaker.Snapshot().Failures != 1 {
					t.Errorf("%s: the breaker counted %d failures, want 1", name,
						p.Breaker.Snapshot().Failures)
				}
			})
		}
	}
}

// A success, an answer or a permanent failure after MaxElapsed keeps its meaning.
func TestLateResults(t *testing.T) {
	for _, row := range []struct {
		err  error
		want rebound.Reason
	}{
		{nil, ""},
		{rebound.Permanent(errFlaky), rebound.NotRetryable},
		{mark.New(errFlaky, fault.None, 0), rebound.NotRetryable},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &rebound.Policy{MaxElapsed: time.Second}
			err := rebound.Run(t.Context(), p, func(context.Context) error {
				time.Sleep(2 * time.Second)
				return row.err
			})
			if row.want == "" && err != nil || row.want != "" && !errors.Is(err, row.want) {
				t.Errorf("%v: got %v, want %q", row.err, err, row.want)
			}
		})
	}
}

// Do passes each delay on as the previous one, from which decorrelated backoff grows.
func TestPreviousDelayReachesBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []time.Duration
		p := &rebound.Policy{Attempts: 4, Backoff: tripled{&seen}}
		_ = rebound.Run(t.Context(), p, func(context.Context) error { return errFlaky })
		if want := []time.Duration{0, time.Second, 3 * time.Second}; !slices.Equal(seen, want) {
			t.Errorf("got previous delays of %v, want %v", seen, want)
		}
	})
}

// tripled records the previous delay, and returns three times as much.
type tripled struct{ seen *[]time.Duration }

func (b tripled) Delay(_ int, prev time.Duration, _ float64) time.Duration {
	*b.seen = append(*b.seen, prev)
	return max(3*prev, time.Second)
}

// A panic in fn counts as a failure and releases the breaker, on the quick path of Do, too.
func TestPanicCountsOnEveryPath(t *testing.T) {
	for name, call := range entries {
		b := &breaker.Breaker{Failures: 1}
		func() {
			defer func() { _ = recover() }()
			_, _ = call(t.Context(), &rebound.Policy{Breaker: b},
				func(context.Context) (int, error) { panic("x") })
		}()
		if b.State() != breaker.Open {
			t.Errorf("%s: the breaker is %v after a panic", name, b.State())
		}
	}
}

// If Observe panics on Retrying, the retry's token is returned.
func TestObserverPanicKeepsTheToken(t *testing.T) {
	p := &rebound.Policy{Observe: func(_ context.Context, e rebound.Event) {
		if e.Kind == rebound.Retrying {
			panic("listener")
		}
	}}
	func() {
		defer func() { _ = recover() }()
		_ = rebound.Run(t.Context(), p, func(context.Context) error { return errFlaky })
	}()
	if got := p.RetryBudget().Level(); got < 9.99 {
		t.Errorf("the budget has %v tokens, want 10", got)
	}
}

// An attempt after its timeout, or after the caller's end, may still have an answer. A permanent
// failure stays permanent, and shows the breaker that the service works.
func TestLateAnswersShowLife(t *testing.T) {
	missing := &fs.PathError{Op: "open", Err: fs.ErrNotExist}
	for _, row := range []struct {
		name   string
		p      *rebound.Policy
		limit  time.Duration
		err    error
		want   rebound.Reason
		calls  int
		opened bool
	}{
		{"own timeout, permanent", &rebound.Policy{AttemptTimeout: time.Second}, time.Hour, missing,
			rebound.NotRetryable, 1, false},
		{"own timeout, unknown", &rebound.Policy{AttemptTimeout: time.Second, Backoff: atOnce},
			time.Hour, errFlaky, rebound.Rejected, 1, true},
		{"caller's deadline, permanent", &rebound.Policy{}, time.Second, missing,
			rebound.Canceled, 1, false},
		{"caller's deadline, unknown", &rebound.Policy{}, time.Second, errFlaky,
			rebound.Canceled, 1, true},
		{"caller's deadline, a closed transaction", &rebound.Policy{}, time.Second,
			errors.New("sql: transaction has already been committed or rolled back"),
			rebound.Canceled, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), row.limit)
			defer cancel()
			b := &breaker.Breaker{Failures: 1}
			row.p.Breaker = b
			calls := 0
			err := rebound.Run(ctx, row.p, func(context.Context) error {
				calls++
				time.Sleep(2 * time.Second)
				return row.err
			})
			if !errors.Is(err, row.want) || calls != row.calls ||
				(b.State() == breaker.Open) != row.opened {
				t.Errorf("%s: got %d calls, %v, breaker %v", row.name, calls, err, b.State())
			}
		})
	}
}

// A Loop whose engine makes the attempts by itself counts one for each Decide.
func TestDecideCountsAttempts(t *testing.T) {
	l := rebound.Begin(t.Context(), &rebound.Policy{Attempts: 3, Backoff: atOnce})
	for attempt := 1; attempt <= 3; attempt++ {
		d := l.Decide(errFlaky)
		if l.State().Attempt != attempt || d.Retry != (attempt < 3) {
			t.Fatalf("Decide %d: got %+v in attempt %d", attempt, d, l.State().Attempt)
		}
		if d.Retry {
			if err := l.Retry(d.Delay); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// list is an error of a type that == cannot compare.
type list []error

func (list) Error() string { return "a list of errors" }

// Decide classifies its argument, not the error that Try returned.
func TestDecideAnotherError(t *testing.T) {
	late := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, nil
	}
	for _, row := range []struct {
		name string
		try  func(context.Context) (int, error)
		then func(error) error
		want fault.Kind
	}{
		{"a result refused", func(context.Context) (int, error) { return 1, nil },
			func(error) error { return rebound.Permanent(errFlaky) }, fault.Permanent},
		{"marked", func(context.Context) (int, error) { return 0, errFlaky }, rebound.Permanent,
			fault.Permanent},
		{"replaced", func(context.Context) (int, error) { return 0, rebound.Permanent(errFlaky) },
			func(error) error { return errFlaky }, fault.Unknown},
		{"not comparable", func(context.Context) (int, error) { return 0, list{errFlaky} },
			func(err error) error { return err }, fault.Unknown},
		{"a result refused that came late", late, func(error) error { return errFlaky },
			fault.Transient},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := rebound.Begin(t.Context(), &rebound.Policy{AttemptTimeout: time.Minute})
			_, err := rebound.Try(&l, row.try)
			err = row.then(err)
			d := l.Decide(err)
			if f := l.Fault(); f.Kind != row.want || d.Retry != (row.want != fault.Permanent) {
				t.Errorf("%s: got %+v and the fault %+v", row.name, d, f)
			}
			e := mustError(t, l.Stop(rebound.Exhausted, nil))
			if e.Attempts != 1 || e.Err == nil || e.Err.Error() != err.Error() {
				t.Errorf("%s: got %+v", row.name, e)
			}
		})
	}
	l := rebound.Begin(t.Context(), nil)
	if d := l.Decide(nil); d.Retry || d.Reason != rebound.NotRetryable {
		t.Errorf("no error: got %+v", d)
	}
}

// hook is called by every callback of a call.
type hook func()

func (h hook) Delay(int, time.Duration, float64) time.Duration { h(); return time.Second }
func (h hook) Enter(context.Context) (gate.Pass, error)        { h(); return gate.Pass{}, nil }
func (h hook) Leave(gate.Pass, gate.Outcome)                   { h() }
func (h hook) Refusal(time.Duration) error                     { h(); return nil }

// hooked makes a call that fails three times, or is canceled in its first delay. It returns how
// often fn was called and what is left of the policy's budget. Every hook calls h.
func hooked(ctx context.Context, h hook, canceled bool) (calls int, left float64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &rebound.Policy{
		Backoff: h, MaxElapsed: time.Hour, AttemptTimeout: time.Minute,
		Classify: func(error) fault.Fault { h(); return fault.Fault{Kind: fault.Transient} },
		RetryIf:  func(fault.Fault) bool { h(); return true },
		Gates:    []gate.Gate{h, h.inner()},
		Observe:  func(context.Context, rebound.Event) { h() },
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }()
		l := rebound.Begin(ctx, p)
		l.Sleep = func(context.Context, time.Duration) {
			if canceled {
				cancel()
			}
			h()
		}
		l.U = func() float64 { h(); return 0.5 }
		l.Elapsed = func() time.Duration { h(); return 0 }
		for {
			_, err := rebound.Try(&l, func(context.Context) (int, error) {
				calls++
				return 0, errFlaky
			})
			d := l.Decide(err)
			if !d.Retry {
				_ = l.Stop(d.Reason, nil)
				return
			}
			if l.Retry(d.Delay) != nil {
				return
			}
		}
	}()
	<-ended
	return calls, p.RetryBudget().Level()
}

// inner is a second gate that does the same.
func (h hook) inner() gate.Gate { return &struct{ hook }{h} }

// A retry is charged only if its attempt has begun, whichever hook ends the call by a panic or by
// runtime.Goexit.
func TestOnlyAttemptsArePaidFor(t *testing.T) {
	for name, end := range map[string]func(){
		"panic": func() { panic("hook") }, "Goexit": runtime.Goexit, "error": func() {},
	} {
		for _, canceled := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n, last := 0, 0
				for n >= last { // the call came to its last hook
					n, last = 0, last+1
					calls, left := hooked(t.Context(), func() {
						if n++; n == last {
							end()
						}
					}, canceled)
					if want := 10 - float64(max(calls-1, 0)); left != want {
						t.Errorf("%s in hook %d: %d attempts left %v tokens, want %v",
							name, last, calls, left, want)
					}
				}
				if !canceled && n < 30 || n < 15 {
					t.Errorf("%s: only %d hooks", name, n)
				}
			})
		}
	}
}

// One attempt is charged once and announced once, however often its retry is requested. The last
// call decides whether it is charged.
func TestRetryTwice(t *testing.T) {
	for _, row := range []struct {
		name  string
		calls []bool // true = Retry, false = Redirect
		spent float64
	}{
		{"retry", []bool{true}, 1},
		{"retry, retry", []bool{true, true}, 1},
		{"redirect, redirect", []bool{false, false}, 0},
		{"retry, redirect", []bool{true, false}, 0},
		{"redirect, retry", []bool{false, true}, 1},
		{"retry, redirect, retry", []bool{true, false, true}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var slept time.Duration
			events := 0
			p := &rebound.Policy{Observe: func(_ context.Context, e rebound.Event) {
				if e.Kind == rebound.Retrying {
					events++
				}
			}}
			l := rebound.Begin(t.Context(), p)
			l.Sleep = func(_ context.Context, d time.Duration) { slept += d }
			if d := l.Decide(errFlaky); !d.Retry {
				t.Fatal(d.Reason)
			}
			for _, charge := range row.calls {
				next := l.Redirect
				if charge {
					next = l.Retry
				}
				if err := next(time.Second); err != nil {
					t.Fatal(err)
				}
			}
			want := 10 - row.spent
			if left := p.RetryBudget().Level(); left != want || events != 1 ||
				slept != time.Duration(len(row.calls))*time.Second {
				t.Errorf("%s: %v tokens left, want %v; %d events, want 1; slept %v",
					row.name, left, want, events, slept)
			}
			_ = l.Stop(rebound.Canceled, nil)
			if left := p.RetryBudget().Level(); left != 10 {
				t.Errorf("%s: %v tokens after the call has ended, want 10", row.name, left)
			}
		})
	}
}

// A call that had all its attempts before it was resumed gets no more.
func TestResumeBeyondTheLimit(t *testing.T) {
	for _, row := range []struct {
		limit, attempt int
		durable        bool
		calls          int
	}{
		{0, 2, false, 1}, {0, 3, false, 0}, {0, 3, true, 0}, {4, 3, false, 1}, {4, 4, false, 0},
		{4, 9, false, 0}, {1, 1, false, 0}, {rebound.Unlimited, 9, false, 1}, {3, -1, false, 1},
	} {
		calls := 0
		p := &rebound.Policy{Attempts: row.limit, Backoff: atOnce}
		l := rebound.Resume(t.Context(), p, rebound.State{Attempt: row.attempt, Durable: row.durable})
		_, err := rebound.Try(&l, func(context.Context) (int, error) { calls++; return 0, errFlaky })
		if calls != row.calls {
			t.Errorf("%+v: got %d attempts", row, calls)
		}
		d := l.Decide(err)
		if row.calls > 0 {
			continue
		}
		if d.Retry || d.Reason != rebound.Exhausted || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("%+v: got %v and %+v, want Exhausted", row, err, d)
		}
		e := mustError(t, l.Stop(d.Reason, nil))
		if e.Attempts != row.attempt || !errors.Is(e, rebound.Exhausted) || e.Error() == "" {
			t.Errorf("%+v: got %+v", row, e)
		}
	}
}

// pause is a gate in which every attempt waits for a second.
type pause struct{}

func (pause) Enter(context.Context) (gate.Pass, error) {
	<-time.After(time.Second)
	return gate.Pass{}, nil
}
func (pause) Leave(gate.Pass, gate.Outcome) {}

// Each attempt has its whole AttemptTimeout, and MaxElapsed counts from the start of the call,
// wherever time passes before and whatever the loop's own clock shows.
func TestDeadlines(t *testing.T) {
	const late = 3 * time.Second // from the beginning of the loop to the first attempt
	for _, row := range []struct {
		name             string
		attempt, elapsed time.Duration // of the policy
		gates            []gate.Gate
		elapse           func() time.Duration
		state            rebound.State
		do, loop         []time.Duration // left at the beginning of each attempt
	}{
		{name: "attempt", attempt: time.Minute,
			do: []time.Duration{60, 60, 60}, loop: []time.Duration{60, 60, 60}},
		{name: "attempt behind a gate", attempt: time.Minute, gates: []gate.Gate{pause{}},
			do: []time.Duration{60, 60, 60}, loop: []time.Duration{60, 60, 60}},
		{name: "elapsed", elapsed: time.Minute,
			do: []time.Duration{60, 49, 38}, loop: []time.Duration{57, 46, 35}},
		{name: "elapsed and attempt", elapsed: time.Minute, attempt: 40 * time.Second,
			do: []time.Duration{40, 40, 38}, loop: []time.Duration{40, 40, 35}},
		{name: "elapsed behind a gate", elapsed: time.Minute, gates: []gate.Gate{pause{}},
			do: []time.Duration{59, 47, 35}, loop: []time.Duration{56, 44, 32}},
		{name: "resumed", elapsed: time.Minute, state: rebound.State{Elapsed: 20 * time.Second},
			loop: []time.Duration{37, 26, 15}},
		{name: "another clock", elapsed: time.Minute,
			elapse: func() time.Duration { return 10 * time.Second },
			loop:   []time.Duration{50, 50, 50}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &rebound.Policy{AttemptTimeout: row.attempt, MaxElapsed: row.elapsed,
				Gates: row.gates, Backoff: backoff.Constant(10 * time.Second)}
			var got []time.Duration
			fn := func(ctx context.Context) (int, error) {
				end, _ := ctx.Deadline()
				got = append(got, time.Until(end)/time.Second)
				time.Sleep(time.Second)
				return 0, errFlaky
			}
			if _, _ = rebound.Do(t.Context(), p, fn); row.do != nil && !slices.Equal(got, row.do) {
				t.Errorf("%s: Do left %v s, want %v", row.name, got, row.do)
			}
			got = nil
			l := rebound.Resume(t.Context(), p, row.state)
			l.Elapsed = row.elapse
			time.Sleep(late)
			for {
				_, err := rebound.Try(&l, fn)
				if d := l.Decide(err); !d.Retry || l.Retry(d.Delay) != nil {
					break
				}
			}
			if !slices.Equal(got, row.loop) {
				t.Errorf("%s: a Loop left %v s, want %v", row.name, got, row.loop)
			}
		})
	}
}

// closed is a gate that rejects with an error.
type closed struct{ error }

func (c closed) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, c.error }
func (closed) Leave(gate.Pass, gate.Outcome)              {}

// An engine makes a rejected attempt later: after the policy's delay, and when the gate may admit
// it. In a process, a rejection ends the call.
func TestDurableRejection(t *testing.T) {
	asks := rebound.RetryAfter(errFlaky, time.Minute)
	for _, row := range []struct {
		name    string
		durable bool
		attempt int
		err     error
		u       float64
		want    time.Duration
	}{
		{"in a process", false, 1, errFlaky, -1, 0},
		{"first", true, 0, errFlaky, -1, time.Second},
		{"third", true, 2, errFlaky, -1, 4 * time.Second},
		{"with a time", true, 2, asks, -1, time.Minute},
		{"with a time, spread", true, 2, asks, 0.5, time.Minute * 9 / 8},
		{"with a shorter time", true, 8, asks, -1, 256 * time.Second},
		{"last", true, 9, errFlaky, -1, 512 * time.Second},
	} {
		p := &rebound.Policy{Attempts: 10, Gates: []gate.Gate{closed{row.err}},
			Backoff: backoff.Exponential{Base: time.Second, Max: time.Hour}}
		l := rebound.Resume(t.Context(), p,
			rebound.State{Attempt: row.attempt, Durable: row.durable})
		l.U = func() float64 { return row.u }
		_, err := rebound.Try(&l, func(context.Context) (int, error) { return 0, nil })
		want := rebound.Decision{Reason: rebound.Rejected, Delay: row.want}
		if d := l.Decide(err); d != want {
			t.Errorf("%s: got %+v, want %+v", row.name, d, want)
		}
	}
	b := &breaker.Breaker{}
	b.Trip(time.Hour)
	l := rebound.Resume(t.Context(), &rebound.Policy{Breaker: b}, rebound.State{Durable: true})
	_, err := rebound.Try(&l, func(context.Context) (int, error) { return 0, nil })
	if d := l.Decide(err); d.Delay < 59*time.Minute || d.Delay > 75*time.Minute || d.Retry {
		t.Errorf("an open breaker: %+v", d)
	}
}

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

func fails(context.Context) error { return errFlaky }

var gateCases = []struct {
	name string
	p    *rebound.Policy
	own  func(log *[]string) gate.Gate
	rest func(log *[]string) []gate.Gate
	fn   func(context.Context) error
}{
	{name: "success", fn: func(context.Context) error { return nil }},
	{name: "failures", fn: fails},
	{name: "another gate behind it", fn: fails, rest: func(log *[]string) []gate.Gate {
		return []gate.Gate{&recorder{name: "bb", log: log}}
	}},
	{name: "it rejects", own: func(log *[]string) gate.Gate {
		return &recorder{name: "a", log: log, refuse: errFlaky}
	}},
	{name: "a later gate rejects", rest: func(log *[]string) []gate.Gate {
		return []gate.Gate{&recorder{name: "bb", log: log, refuse: errFlaky}}
	}},
	{name: "it foresees a rejection", fn: fails, own: func(log *[]string) gate.Gate {
		return foreseeing{&recorder{name: "a", log: log}}
	}},
	{name: "it is nil", own: func(*[]string) gate.Gate { return (*recorder)(nil) }},
	{name: "a breaker", p: &rebound.Policy{Breaker: &breaker.Breaker{Failures: 2}}, fn: fails},
	{name: "MaxElapsed in the gate", p: &rebound.Policy{MaxElapsed: time.Second},
		own: func(*[]string) gate.Gate { return waiting{} }},
	{name: "MaxElapsed, and a gate that ignores it", p: &rebound.Policy{MaxElapsed: time.Second},
		own: func(*[]string) gate.Gate { return stubborn{} }},
	{name: "the timeout begins behind the gate", p: &rebound.Policy{AttemptTimeout: time.Second},
		own: func(*[]string) gate.Gate { return stubborn{} },
		fn:  func(ctx context.Context) error { return ctx.Err() }},
	{name: "a panic", fn: func(context.Context) error { panic("boom") }},
}

// A gate of the call is like the first gate of the policy.
func TestGateOfTheCall(t *testing.T) {
	for _, row := range gateCases {
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
				got := caught(func() error {
					if call {
						return withLoop(t.Context(), p, own, row.fn)
					}
					p.Gates = slices.Insert(p.Gates, 0, own)
					return withLoop(t.Context(), p, nil, row.fn)
				})
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

// caught returns the error of f, or the value of its panic.
func caught(f func() error) (got any) {
	defer func() {
		if r := recover(); r != nil {
			got = r
		}
	}()
	return f()
}

func asError(v any) error {
	err, _ := v.(error)
	return err
}
