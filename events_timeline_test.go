package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// step is one attempt of a script: how long it takes, and how it ends.
type step struct {
	takes time.Duration
	err   error
}

// play returns a function that goes through a script, attempt by attempt; the last step repeats.
func play(steps ...step) func(context.Context) (int, error) {
	n := 0
	return func(ctx context.Context) (int, error) {
		s := steps[min(n, len(steps)-1)]
		n++
		select {
		case <-time.After(s.takes):
			return n, s.err
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// timeline returns a listener that writes each event down with the moment it came at.
func timeline(lines *[]string) func(context.Context, rebound.Event) {
	begin := time.Now()
	return func(_ context.Context, e rebound.Event) {
		at := time.Since(begin)
		line := fmt.Sprintf("%v %v %d", at, e.Kind, e.Attempt)
		switch e.Kind {
		case rebound.Retrying:
			line += fmt.Sprintf(" %v wait %v", e.Fault.Kind, e.Delay)
		case rebound.GaveUp:
			line += fmt.Sprintf(" %v %v", e.Fault.Kind, e.Reason)
		}
		if e.Elapsed != at {
			line += fmt.Sprintf(" (elapsed %v)", e.Elapsed)
		}
		*lines = append(*lines, line)
	}
}

var (
	shut     = refusing{errors.New("no slots")}
	given    = &rebound.Error{Attempts: 3, Reason: rebound.Exhausted, Err: errFlaky}
	isAnswer = func(err error) fault.Fault { return fault.Fault{Kind: fault.None, Err: err} }
)

// refusing is a gate that lets nobody in.
type refusing struct{ err error }

func (r refusing) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, r.err }
func (r refusing) Leave(gate.Pass, gate.Outcome)            {}

// timelines has one call per way of ending; waits are one second where the policy has no other.
// Every line reads: when, what, attempt, what the failure meant, and the wait or the reason. A call
// that cancel is not 0 for is canceled after so long.
var timelines = []struct {
	name   string
	policy *rebound.Policy
	cancel time.Duration
	limit  time.Duration // deadline, 0 = none
	steps  []step
	want   []string
}{
	{"at once", &rebound.Policy{}, 0, 0, []step{{0, nil}}, []string{"0s succeeded 1"}},
	{"slow and good", &rebound.Policy{}, 0, 0, []step{{time.Minute, nil}}, []string{
		"1m0s succeeded 1"}},
	{"third time", &rebound.Policy{}, 0, 0,
		[]step{{time.Second, errFlaky}, {2 * time.Second, errFlaky}, {3 * time.Second, nil}},
		[]string{"1s retrying 1 unknown wait 1s", "4s retrying 2 unknown wait 1s",
			"8s succeeded 3"}},
	{"the server's wait", &rebound.Policy{Backoff: backoff.Constant(0)}, 0, 0,
		[]step{{0, rebound.RetryAfter(errFlaky, 0)}, {0, nil}},
		[]string{"0s retrying 1 rate_limited wait 0s", "0s succeeded 2"}},
	{"one attempt", &rebound.Policy{Attempts: 1}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown exhausted"}},
	{"time-out, then well", &rebound.Policy{AttemptTimeout: time.Second}, 0, 0,
		[]step{{time.Hour, nil}, {0, nil}},
		[]string{"1s retrying 1 transient wait 1s", "2s succeeded 2"}},
	{"answer", &rebound.Policy{Classify: isAnswer}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 none not_retryable"}},
	{"not idempotent", &rebound.Policy{NonIdempotent: true}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown not_idempotent"}},
	{"wait too long", &rebound.Policy{}, 0, 0,
		[]step{{0, rebound.RetryAfter(errFlaky, time.Hour)}},
		[]string{"0s gave_up 1 rate_limited wait_too_long"}},
	{"retried below", &rebound.Policy{}, 0, 0, []step{{0, given}}, []string{
		"0s gave_up 1 unknown already_retried"}},
	{"past MaxElapsed", &rebound.Policy{MaxElapsed: 3500 * time.Millisecond}, 0, 0,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "3s gave_up 2 unknown past_elapsed"}},
	{"past the deadline", &rebound.Policy{}, 0, 3500 * time.Millisecond,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "3s gave_up 2 unknown past_deadline"}},
	{"no time for the wait", &rebound.Policy{}, 0, 2500 * time.Millisecond,
		[]step{{900 * time.Millisecond, errFlaky}},
		[]string{"900ms retrying 1 unknown wait 1s", "2.5s gave_up 2 canceled canceled"}},
	{"deadline before the wait", &rebound.Policy{}, 0, time.Second, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown past_deadline"}},
	{"canceled in an attempt", &rebound.Policy{}, time.Second, 0, []step{{time.Hour, nil}}, []string{
		"1s gave_up 1 canceled canceled"}},
	{"canceled in a wait", &rebound.Policy{}, 1500 * time.Millisecond, 0,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "1.5s gave_up 1 unknown canceled"}},
	{"refused", &rebound.Policy{Gates: []gate.Gate{shut}}, 0, 0, []step{{0, nil}}, []string{
		"0s gave_up 0 unknown rejected"}},
}

func TestEventTimelines(t *testing.T) {
	for _, row := range timelines {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				p := row.policy.Clone()
				p.Observe = timeline(&got)
				if p.Backoff == nil {
					p.Backoff, p.Throttled = backoff.Constant(time.Second), backoff.Constant(0)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.cancel > 0 {
					time.AfterFunc(row.cancel, cancel)
				}
				if row.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, row.limit)
					defer cancel()
				}
				_, _ = rebound.Do(ctx, p, play(row.steps...))
				if !slices.Equal(got, row.want) {
					t.Errorf("got\n%q\nwant\n%q", got, row.want)
				}
			})
		})
	}
}

// A call that never begins has an event as well.
func TestEventOfACallThatIsOverAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = rebound.Do(ctx, &rebound.Policy{Observe: timeline(&got)}, play(step{}))
		if want := []string{"0s gave_up 0 unknown canceled"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// All ways to make a call raise the same events.
func TestEventsOfEveryEntryPoint(t *testing.T) {
	entries := map[string]func(context.Context, *rebound.Policy){
		"Do": func(ctx context.Context, p *rebound.Policy) {
			_, _ = rebound.Do(ctx, p, play(step{time.Second, errFlaky}))
		},
		"Run": func(ctx context.Context, p *rebound.Policy) {
			fn := play(step{time.Second, errFlaky})
			_ = rebound.Run(ctx, p, func(ctx context.Context) error {
				_, err := fn(ctx)
				return err
			})
		},
		"DoChecked": func(ctx context.Context, p *rebound.Policy) {
			_, _ = rebound.DoChecked(ctx, p, play(step{time.Second, nil}),
				func(int) error { return errFlaky })
		},
		"DoElse": func(ctx context.Context, p *rebound.Policy) {
			_, _ = rebound.DoElse(ctx, p, play(step{time.Second, errFlaky}),
				func(context.Context, error) (int, error) { return 0, nil })
		},
		"Attempts": func(ctx context.Context, p *rebound.Policy) {
			fn, err := play(step{time.Second, errFlaky}), error(nil)
			for ctx := range rebound.Attempts(ctx, p, &err) {
				_, err = fn(ctx)
			}
		},
	}
	want := []string{"1s retrying 1 unknown wait 1s", "3s retrying 2 unknown wait 1s",
		"5s gave_up 3 unknown exhausted"}
	for name, call := range entries {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			call(t.Context(), &rebound.Policy{
				Backoff: backoff.Constant(time.Second), Observe: timeline(&got),
			})
			if !slices.Equal(got, want) {
				t.Errorf("%s: got\n%q\nwant\n%q", name, got, want)
			}
		})
	}
}

// A loop that is left early is over: break decides by what the error variable holds.
func TestEventsOfABrokenLoop(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, "0s succeeded 1"}, {errFlaky, "0s gave_up 1 unknown not_retryable"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			var err error
			for range rebound.Attempts(t.Context(), &rebound.Policy{Observe: timeline(&got)}, &err) {
				err = row.err
				break
			}
			if !slices.Equal(got, []string{row.want}) {
				t.Errorf("%v: got %q, want %q", row.err, got, row.want)
			}
		})
	}
}

// A panic and a Goexit in the second attempt leave what was told before, and tell nothing more.
func TestEventsOfACallThatPanics(t *testing.T) {
	for name, end := range map[string]func(){
		"panic": func() { panic("boom") }, "Goexit": runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			n := 0
			p := &rebound.Policy{Backoff: atOnce, Observe: timeline(&got)}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = rebound.Run(t.Context(), p, func(context.Context) error {
					if n++; n == 2 {
						end()
					}
					return errFlaky
				})
			}()
			<-done
			if want := []string{"0s retrying 1 unknown wait 0s"}; !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		})
	}
}

// A listener costs nothing that the garbage collector would have to clear away: a success is
// observed without an allocation, and a retry makes none beyond what it makes unobserved.
func TestListenersDoNotAllocate(t *testing.T) {
	var heard int
	listen := func(_ context.Context, e rebound.Event) { heard += e.Attempt }
	both := rebound.Observers(listen, listen)
	for _, row := range []struct {
		name  string
		fails int
	}{{"success", 0}, {"two retries", 2}} {
		measure := func(observe func(context.Context, rebound.Event)) float64 {
			p := &rebound.Policy{Backoff: atOnce, Observe: observe}
			return testing.AllocsPerRun(100, func() {
				n := 0
				_, _ = rebound.Do(t.Context(), p, func(context.Context) (int, error) {
					if n++; n <= row.fails {
						return 0, errFlaky
					}
					return n, nil
				})
			})
		}
		want := measure(nil)
		for name, observe := range map[string]func(context.Context, rebound.Event){
			"one": listen, "two": both,
		} {
			if got := measure(observe); got > want {
				t.Errorf("%s, %s: %v allocations, want %v", row.name, name, got, want)
			}
		}
		if row.fails == 0 && want != 0 {
			t.Errorf("an unobserved success: %v allocations, want 0", want)
		}
	}
	if heard == 0 {
		t.Error("nothing was heard")
	}
}
