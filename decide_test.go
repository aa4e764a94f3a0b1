package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
)

func TestSchedule(t *testing.T) {
	s := time.Second
	for _, row := range []struct {
		policy *rebound.Policy
		n      int
		want   []time.Duration
	}{
		{nil, 4, []time.Duration{s / 10, s / 5, 2 * s / 5, 4 * s / 5}},
		{&rebound.Policy{Backoff: backoff.Exponential{Base: s, Max: 5 * s}}, 5,
			[]time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s}},
		{&rebound.Policy{Backoff: backoff.Exponential{Base: s, Min: 3 * s}}, 3,
			[]time.Duration{3 * s, 3 * s, 4 * s}},
		{&rebound.Policy{Backoff: backoff.Steps{Delays: []time.Duration{s, 5 * s}}}, 4,
			[]time.Duration{s, 5 * s, 5 * s, 5 * s}},
		{nil, 0, nil}, {nil, -1, nil},
	} {
		if got := row.policy.Schedule(row.n); !slices.Equal(got, row.want) {
			t.Errorf("got %v, want %v", got, row.want)
		}
	}
}

// What Decide returns for each kind of failure.
func TestDecideKinds(t *testing.T) {
	careful := &rebound.Policy{NonIdempotent: true}
	for _, row := range []struct {
		policy *rebound.Policy
		fault  fault.Fault
		want   rebound.Reason
	}{
		{nil, fault.Fault{Kind: fault.None}, rebound.NotRetryable},
		{nil, fault.Fault{Kind: fault.Unknown}, ""},
		{nil, fault.Fault{Kind: fault.Transient}, ""},
		{nil, fault.Fault{Kind: fault.RateLimited}, ""},
		{nil, fault.Fault{Kind: fault.Overloaded}, ""},
		{nil, fault.Fault{Kind: fault.Permanent}, rebound.NotRetryable},
		{nil, fault.Fault{Kind: fault.Canceled}, rebound.Canceled},
		{careful, fault.Fault{Kind: fault.Transient}, rebound.NotIdempotent},
		{careful, fault.Fault{Kind: fault.Transient, Sent: fault.NotSent}, ""},
		{careful, fault.Fault{Kind: fault.Overloaded, Sent: fault.NotDone}, ""},
		{careful, fault.Fault{Kind: fault.Permanent}, rebound.NotRetryable},
	} {
		d := row.policy.Decide(rebound.State{Attempt: 1, U: 0.5}, row.fault)
		if d.Reason != row.want || d.Retry != (row.want == "") {
			t.Errorf("%+v: got %+v, want reason %q", row.fault, d, row.want)
		}
	}
}

// The delays after rate limits are four times the others, unless Throttled is set.
func TestThrottledWaits(t *testing.T) {
	p := &rebound.Policy{Attempts: 9, Backoff: backoff.Exponential{Base: time.Second, Max: 1e11}}
	limited := fault.Fault{Kind: fault.RateLimited}
	for n := 1; n <= 4; n++ {
		d := p.Decide(rebound.State{Attempt: n, U: -1}, limited)
		if want := 4 * time.Second << (n - 1); d.Delay != want {
			t.Errorf("attempt %d: got %v, want %v", n, d.Delay, want)
		}
	}
	// A decorrelated delay grows from the one before, as Backoff returned it.
	d := &rebound.Policy{Attempts: 9, Backoff: backoff.Decorrelated{Max: time.Hour}}
	prev := time.Duration(0)
	for n, want := range []time.Duration{1200, 3600, 10800, 32400} {
		prev = d.Decide(rebound.State{Attempt: n + 1, Prev: prev, U: -1}, limited).Delay
		if prev != want*time.Millisecond {
			t.Errorf("decorrelated, wait %d: got %v, want %v", n+1, prev, want*time.Millisecond)
		}
	}
	p.Throttled = backoff.Constant(time.Minute)
	if d := p.Decide(rebound.State{Attempt: 1, U: -1}, limited); d.Delay != time.Minute {
		t.Errorf("Throttled: got %v", d.Delay)
	}
}

// Whatever the arguments: no panic, no negative delay, and a Retry or a Reason, never both.
func FuzzDecide(f *testing.F) {
	f.Add(1, int64(0), int64(0), int64(0), 0.5, uint8(2), int64(0), 3, int64(1e8), int64(0))
	f.Add(math.MaxInt, int64(-1), int64(math.MaxInt64), int64(1), math.NaN(), uint8(3),
		int64(math.MaxInt64), -1, int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, attempt int, elapsed, prev, left int64, u float64, kind uint8,
		after int64, attempts int, base, maxElapsed int64,
	) {
		p := &rebound.Policy{Attempts: attempts, MaxElapsed: time.Duration(maxElapsed),
			MaxRetryAfter: math.MaxInt64,
			Backoff:       backoff.Exponential{Base: time.Duration(base), Max: math.MaxInt64}}
		s := rebound.State{Attempt: attempt, Elapsed: time.Duration(elapsed),
			Prev: time.Duration(prev), Left: time.Duration(left), U: u}
		fl := fault.Fault{Kind: fault.Kind(kind % 7), After: time.Duration(after)}
		d := p.Decide(s, fl)
		if d.Retry == (d.Reason != "") || d.Delay < 0 || !d.Retry && d.Delay != 0 {
			t.Errorf("got %+v", d)
		}
		if d.Retry && d.Delay < fl.After {
			t.Errorf("waits %v, less than the Retry-After delay of %v", d.Delay, fl.After)
		}
		if d.Retry && left != 0 && d.Delay >= s.Left {
			t.Errorf("waits %v with %v left", d.Delay, s.Left)
		}
		if again := p.Decide(s, fl); again != d {
			t.Errorf("got %+v, then %+v", d, again)
		}
	})
}

// Rule 6: a Retry-After delay is a lower bound, with upward jitter of at most a quarter.
func TestAskedWaitIsAFloor(t *testing.T) {
	p := &rebound.Policy{Throttled: backoff.Constant(10 * time.Second)}
	for _, row := range []struct {
		after      time.Duration
		u          float64
		least, max time.Duration
	}{
		{8 * time.Second, -1, 10 * time.Second, 10 * time.Second},
		{8 * time.Second, 0, 10 * time.Second, 10 * time.Second},
		{20 * time.Second, -1, 20 * time.Second, 20 * time.Second},
		{20 * time.Second, 0.5, 22*time.Second + 500*time.Millisecond,
			22*time.Second + 500*time.Millisecond},
		{20 * time.Second, 0.999, 24 * time.Second, 25 * time.Second},
		{time.Second, 0.5, 10 * time.Second, 10*time.Second + 125*time.Millisecond},
	} {
		d := p.Decide(rebound.State{Attempt: 1, U: row.u},
			fault.Fault{Kind: fault.RateLimited, After: row.after})
		if !d.Retry || d.Delay < row.least || d.Delay > row.max {
			t.Errorf("after %v, u %v: got %+v, want %v to %v", row.after, row.u, d, row.least,
				row.max)
		}
	}
	for range 1000 {
		f := fault.Of(rebound.RetryAfter(errFlaky, time.Second))
		d := (*rebound.Policy)(nil).Decide(rebound.State{Attempt: 1, U: 0.3}, f)
		if d.Delay < time.Second {
			t.Fatalf("got %v, less than the Retry-After delay of 1s", d.Delay)
		}
	}
}

// Rule 8: an attempt's own timeout is Transient, the caller's end is Canceled.
func TestWhoseTimeout(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	mute := func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("something went wrong")
	}
	timeout := &rebound.Policy{AttemptTimeout: time.Second, Backoff: atOnce}
	onlyTimeouts := timeout.Clone()
	onlyTimeouts.RetryIf = func(f fault.Fault) bool { return fault.IsTimeout(f.Err) }
	cut := &rebound.Policy{AttemptTimeout: 2 * time.Second, MaxElapsed: 3 * time.Second,
		Backoff: atOnce}
	for _, row := range []struct {
		name     string
		policy   *rebound.Policy
		deadline time.Duration
		fn       func(context.Context) error
		attempts int
		took     time.Duration
		kind     fault.Kind
		want     rebound.Reason
	}{
		{"own", timeout, 0, hang, 3, 3 * time.Second, fault.Transient, rebound.Exhausted},
		{"own, error says nothing", timeout, 0, mute, 3, 3 * time.Second, fault.Transient,
			rebound.Exhausted},
		{"own, and IsTimeout sees it", onlyTimeouts, 0, mute, 3, 3 * time.Second,
			fault.Transient, rebound.Exhausted},
		{"own, cut by MaxElapsed", cut, 0, hang, 2, 3 * time.Second, fault.Transient,
			rebound.PastElapsed},
		{"the caller's", timeout, 1500 * time.Millisecond, hang, 2, 1500 * time.Millisecond,
			fault.Canceled, rebound.Canceled},
		{"the caller's, error says nothing", timeout, 500 * time.Millisecond, mute, 1,
			500 * time.Millisecond, fault.Canceled, rebound.Canceled},
		{"the caller's, no attempt timeout", &rebound.Policy{}, time.Second, hang, 1, time.Second,
			fault.Canceled, rebound.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin := t.Context(), time.Now()
				if row.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, row.deadline, errors.New("late"))
					defer cancel()
				}
				e := mustError(t, rebound.Run(ctx, row.policy, row.fn))
				took := time.Since(begin)
				if e.Attempts != row.attempts || took != row.took || e.Reason != row.want ||
					e.Fault.Kind != row.kind {
					t.Errorf("got %d attempts, %v, %v, %v; want %d, %v, %v, %v",
						e.Attempts, took, e.Fault.Kind, e.Reason,
						row.attempts, row.took, row.kind, row.want)
				}
			})
		})
	}
}

// Rule 8: code that has its own timer for the caller's deadline may fire before the context.
func TestDeadlineNoticedEarly(t *testing.T) {
	late := &lateContext{Context: t.Context(), deadline: time.Now().Add(-1)}
	b := &breaker.Breaker{Failures: 1}
	err := rebound.Run(late, &rebound.Policy{Breaker: b}, failing(new(int), errFlaky))
	e := mustError(t, err)
	if e.Reason != rebound.Canceled || !errors.Is(err, context.DeadlineExceeded) ||
		e.Fault.Kind != fault.Canceled {
		t.Errorf("got %v, %v", e.Fault.Kind, err)
	}
	if b.State() != breaker.Open {
		t.Errorf("the breaker is %v: a deadline that runs out in an attempt is a failure", b.State())
	}
}

// lateContext is past its deadline, but its timer has not run yet.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Rule 8: a late answer is an answer, and the end of the caller's context is not a timeout.
func TestAnswerUnderAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, took := range []time.Duration{0, 2 * time.Second} {
			calls := 0
			b := &breaker.Breaker{Failures: 1}
			p := &rebound.Policy{AttemptTimeout: time.Second, Breaker: b,
				Classify: func(error) fault.Fault { return fault.Fault{Kind: fault.None} }}
			ctx, cancel := context.WithCancel(t.Context())
			err := rebound.Run(ctx, p, func(context.Context) error {
				calls++
				<-time.After(took)
				if took == 0 {
					cancel()
				}
				return errFlaky
			})
			if calls != 1 || !errors.Is(err, rebound.NotRetryable) || b.State() != breaker.Closed {
				t.Errorf("got %d calls, %v, breaker %v", calls, err, b.State())
			}
			cancel()
		}
	})
}

// Rule 8: a context.Canceled that is not the caller's is no reason to stop.
func TestSomebodyElsesCancellation(t *testing.T) {
	calls := 0
	err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce},
		failing(&calls, context.Canceled))
	if calls != 3 || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("got %d calls and %v, want 3", calls, err)
	}
}

// Rule 8: once the caller's context has ended, only a mark of the error matters.
func TestErrorsAfterTheCallersEnd(t *testing.T) {
	permanent := func(error) fault.Fault { return fault.Fault{Kind: fault.Permanent} }
	answer := func(error) fault.Fault { return fault.Fault{Kind: fault.None} }
	for _, row := range []struct {
		name     string
		classify fault.Classifier
		err      error
		want     rebound.Reason
	}{
		{"unknown", nil, errFlaky, rebound.Canceled},
		{"looks permanent", permanent, errFlaky, rebound.Canceled},
		{"marked transient", nil, rebound.Transient(errFlaky), rebound.Canceled},
		{"marked permanent", nil, rebound.Permanent(errFlaky), rebound.NotRetryable},
		{"an answer", answer, errFlaky, rebound.NotRetryable},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		err := rebound.Run(ctx, &rebound.Policy{Classify: row.classify},
			func(context.Context) error { cancel(); return row.err })
		if e := mustError(t, err); e.Reason != row.want || !errors.Is(err, errFlaky) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
}

// Rule 2: marks outrank classifiers and RetryIf, and survive wrapping, whose text is kept.
func TestMarksOutrank(t *testing.T) {
	always := func(fault.Fault) bool { return true }
	never := func(fault.Fault) bool { return false }
	saying := func(k fault.Kind) fault.Classifier {
		return func(error) fault.Fault { return fault.Fault{Kind: k} }
	}
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		err    error
		calls  int
	}{
		{"permanent over RetryIf", &rebound.Policy{RetryIf: always},
			rebound.Permanent(errFlaky), 1},
		{"permanent over Classify", &rebound.Policy{Classify: saying(fault.Transient)},
			rebound.Permanent(errFlaky), 1},
		{"permanent, wrapped", &rebound.Policy{RetryIf: always},
			fmt.Errorf("get user 7: %w", rebound.Permanent(errFlaky)), 1},
		{"permanent, joined", &rebound.Policy{RetryIf: always},
			errors.Join(io.EOF, rebound.Permanent(errFlaky)), 1},
		{"transient over RetryIf", &rebound.Policy{RetryIf: never},
			rebound.Transient(errFlaky), 3},
		{"transient over Classify", &rebound.Policy{Classify: saying(fault.Permanent)},
			rebound.Transient(errFlaky), 3},
		{"transient over fault.Of", &rebound.Policy{}, rebound.Transient(context.Canceled), 3},
		{"rate limit over RetryIf", &rebound.Policy{RetryIf: never, Throttled: atOnce},
			rebound.RetryAfter(errFlaky, 0), 3},
		{"outer mark over inner", &rebound.Policy{},
			rebound.Transient(rebound.Permanent(errFlaky)), 3},
		{"no mark: RetryIf", &rebound.Policy{RetryIf: never}, errFlaky, 1},
		{"no mark: Classify", &rebound.Policy{Classify: saying(fault.Permanent)}, errFlaky, 1},
		{"an answer", &rebound.Policy{Classify: saying(fault.None)}, errFlaky, 1},
	} {
		calls := 0
		row.policy.Backoff = atOnce
		err := rebound.Run(t.Context(), row.policy, failing(&calls, row.err))
		if calls != row.calls || !errors.Is(err, row.err) {
			t.Errorf("%s: got %d calls and %v, want %d calls", row.name, calls, err, row.calls)
		}
		if !strings.Contains(err.Error(), row.err.Error()) {
			t.Errorf("%s: %q has lost %q", row.name, err, row.err)
		}
	}
	for _, err := range []error{
		rebound.Permanent(nil), rebound.Transient(nil), rebound.RetryAfter(nil, time.Second),
	} {
		if err != nil {
			t.Errorf("a marked nil became %v", err)
		}
	}
}

// Rule 2: a classifier that puts another error into the Fault does not take its mark away.
func TestMarksOutrankWhereTheErrorWasUnwrapped(t *testing.T) {
	unwrap := func(err error) fault.Fault {
		return fault.Fault{Kind: fault.Transient, Err: errors.Unwrap(err)}
	}
	for _, row := range []struct {
		err   error
		calls int
	}{{rebound.Permanent(errFlaky), 1}, {rebound.Transient(errFlaky), 3}} {
		calls := 0
		_ = rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce, Classify: unwrap,
			RetryIf: func(fault.Fault) bool { return row.calls == 1 }},
			failing(&calls, row.err))
		if calls != row.calls {
			t.Errorf("got %d calls, want %d", calls, row.calls)
		}
	}
}

// A Retry-After delay stays with the error when the error is marked.
func TestMarkKeepsTheWait(t *testing.T) {
	err := rebound.Transient(fmt.Errorf("busy: %w", rebound.RetryAfter(errFlaky, 5*time.Second)))
	own := &rebound.Policy{Classify: func(error) fault.Fault { return fault.Fault{} }}
	for _, p := range []*rebound.Policy{nil, own} {
		if f := p.Fault(t.Context(), err); f.After != 5*time.Second || f.Kind != fault.Transient {
			t.Errorf("got %v after %v, want transient after 5s", f.Kind, f.After)
		}
	}
}

// A delay that ends exactly at the bound leaves no time for an attempt.
func TestDelayAsLongAsWhatIsLeft(t *testing.T) {
	p := &rebound.Policy{MaxElapsed: 10 * time.Second, Backoff: backoff.Constant(time.Second)}
	f := fault.Fault{Kind: fault.Transient}
	for _, row := range []struct {
		elapsed, left time.Duration
		want          rebound.Reason
	}{
		{9*time.Second - 1, 0, ""}, {9 * time.Second, 0, rebound.PastElapsed},
		{0, time.Second + 1, ""}, {0, time.Second, rebound.PastDeadline},
	} {
		s := rebound.State{Attempt: 1, Elapsed: row.elapsed, Left: row.left, U: -1}
		if d := p.Decide(s, f); d.Reason != row.want {
			t.Errorf("elapsed %v, left %v: got %+v, want %q", row.elapsed, row.left, d, row.want)
		}
	}
}

// adds is a custom backoff that adds its value to the delay before. It counts its calls.
type adds struct {
	time.Duration
	calls *int
}

func (a adds) Delay(_ int, prev time.Duration, _ float64) time.Duration {
	*a.calls++
	return min(prev+a.Duration, time.Hour)
}

// An engine that stores only the number of failures gets the same delays as one that also stores
// the delay, and at the same cost for every attempt.
func TestDurableWithoutPrev(t *testing.T) {
	calls := 0
	for name, b := range map[string]backoff.Backoff{
		"none":         nil,
		"constant":     backoff.Constant(time.Second),
		"decorrelated": backoff.Decorrelated{Base: time.Second, Max: time.Hour},
		"growing":      backoff.Decorrelated{Base: time.Second, Low: 1.3, High: 1.5},
		"custom":       adds{time.Second, &calls},
	} {
		p := &rebound.Policy{Attempts: rebound.Unlimited, Backoff: b}
		throttled := &rebound.Policy{Attempts: rebound.Unlimited, Throttled: b}
		if b == nil {
			throttled.Throttled = backoff.Exponential{}
		}
		for i, want := range p.Schedule(12) {
			s := rebound.State{Attempt: i + 1, U: -1, Durable: true}
			if got := p.Decide(s, fault.Fault{Kind: fault.Transient}).Delay; got != want {
				t.Errorf("%s: %v after failure %d, want %v", name, got, i+1, want)
			}
			got := p.Decide(s, fault.Fault{Kind: fault.Overloaded}).Delay
			if got != 4*want {
				t.Errorf("%s: %v after overload %d, want %v", name, got, i+1, 4*want)
			}
			if got := throttled.Decide(s, fault.Fault{Kind: fault.RateLimited}).Delay; got != want {
				t.Errorf("%s: %v after rate limit %d, want %v", name, got, i+1, want)
			}
		}
	}
	p := &rebound.Policy{Attempts: rebound.Unlimited, Backoff: adds{time.Minute, &calls}}
	for _, n := range []int{60, 1000, 1100, math.MaxInt} {
		calls = 0
		d := p.Decide(rebound.State{Attempt: n, Durable: true}, fault.Fault{Kind: fault.Unknown})
		if d.Delay != time.Hour || calls > 1001 {
			t.Errorf("%v after failure %d, by %d calls", d.Delay, n, calls)
		}
	}
	for _, s := range []rebound.State{
		{Attempt: 3}, {Attempt: 3, Prev: 0, U: 0.5}, // a loop in a process has the delay
		{Attempt: 1, Durable: true}, {Durable: true}, {Attempt: math.MinInt, Durable: true},
	} {
		if d := p.Decide(s, fault.Fault{Kind: fault.Unknown}); d.Delay != time.Minute {
			t.Errorf("%+v: %v, want the first delay", s, d.Delay)
		}
	}
	s := rebound.State{Attempt: 3, Prev: 7 * time.Minute, Durable: true}
	if d := p.Decide(s, fault.Fault{Kind: fault.Unknown}); d.Delay != 8*time.Minute {
		t.Errorf("%v after a delay that is known", d.Delay)
	}
}
