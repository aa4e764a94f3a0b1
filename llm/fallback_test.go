package llm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/llm"
)

var (
	reset   = rebound.Transient(errors.New("reset"))
	busy    = mark.New(errors.New("busy"), overloaded, 0)
	quota   = rebound.Permanent(errors.New("quota"))
	wait30  = rebound.RetryAfter(errors.New("wait 30 s"), 30*time.Second)
	wait10m = rebound.RetryAfter(errors.New("wait 10 min"), 10*time.Minute)
	printed = &llm.StreamError{Err: errors.New("cut"), Output: true}
	gaveUp  = &rebound.Error{Reason: rebound.Exhausted, Attempts: 3, Err: errors.New("x"),
		Fault: fault.Fault{Kind: transient}}
)

// exact is a policy whose delays are 1 s, or 10 s when throttled.
func exact(attempts int) *rebound.Policy {
	return &rebound.Policy{
		Name: "chain", Attempts: attempts,
		Backoff: backoff.Constant(time.Second), Throttled: backoff.Constant(10 * time.Second),
	}
}

// script is the errors of each model in turn; the last one for ever, none = nil.
type script map[string][]error

func (s script) play(model string) error {
	errs := s[model]
	if len(errs) == 0 {
		return nil
	}
	if len(errs) > 1 {
		s[model] = errs[1:]
	}
	return errs[0]
}

type errs = []error

// chain is a call of the models a, b and c.
type chain struct {
	name   string
	policy *rebound.Policy
	script script
	want   string // the models asked, in order
	reason rebound.Reason
	took   time.Duration
}

// chains returns new ones: a call uses up its script, and its policy's budget.
func chains() []chain {
	return []chain{
		{"first", exact(5), script{}, "a", "", 0},
		{"a reset is tried again", exact(5), script{"a": errs{reset, nil}}, "aa", "", time.Second},
		{"two resets", exact(5), script{"a": errs{reset}}, "aab", "", time.Second},
		{"overload moves on at once", exact(5), script{"a": errs{busy}}, "ab", "", 0},
		{"quota moves on at once", exact(5), script{"a": errs{quota}}, "ab", "", 0},
		{"already retried below", exact(5), script{"a": errs{gaveUp}}, "ab", "", 0},
		{"third", exact(5), script{"a": errs{quota}, "b": errs{busy}}, "abc", "", 0},
		{"all busy, the first is ready first", exact(5),
			script{"a": errs{busy, nil}, "b": errs{busy}, "c": errs{busy}}, "abca", "",
			10 * time.Second},
		{"the one that is ready first", exact(5),
			script{"a": errs{wait30}, "b": errs{wait30}, "c": errs{busy, nil}}, "abcc", "",
			10 * time.Second},
		{"all busy for ever", exact(5), script{"a": errs{busy}, "b": errs{busy}, "c": errs{quota}},
			"abcab", rebound.Exhausted, 10 * time.Second},
		{"none can", exact(5), script{"a": errs{quota}, "b": errs{wait10m}, "c": errs{quota}},
			"abc", rebound.NotRetryable, 0},
		{"too long a wait", exact(5), script{"a": errs{quota}, "b": errs{quota},
			"c": errs{wait10m}}, "abc", rebound.WaitTooLong, 0},
		{"fewer attempts than models", exact(2), script{"a": errs{quota}, "b": errs{quota}},
			"ab", rebound.Exhausted, 0},
		{"the default of attempts", exact(0), script{"a": errs{reset}, "b": errs{reset}},
			"aab", rebound.Exhausted, time.Second},
		{"output cannot be taken back", exact(5), script{"a": errs{printed}}, "a",
			rebound.NotRetryable, 0},
		{"unlimited", &rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Constant(0)},
			script{"a": errs{reset, reset, reset, reset, reset, nil}, "b": errs{quota},
				"c": errs{quota}}, "aabacaaa", "", 0},
		{"no time", &rebound.Policy{MaxElapsed: 5 * time.Second, Attempts: 9,
			Throttled: backoff.Constant(10 * time.Second)}, script{"a": errs{busy}, "b": errs{busy},
			"c": errs{busy}}, "abc", rebound.PastElapsed, 0},
		{"must not be repeated", &rebound.Policy{NonIdempotent: true}, script{"a": errs{reset}},
			"a", rebound.NotIdempotent, 0},
		{"invalid", &rebound.Policy{MaxElapsed: -1}, script{"a": errs{reset}}, "a",
			rebound.Invalid, 0},
		{"no budget", &rebound.Policy{Attempts: 9, Backoff: backoff.Constant(0),
			Budget: &budget.Budget{Capacity: 1}},
			script{"a": errs{reset}, "b": errs{reset}, "c": errs{reset}}, "aabc",
			rebound.OutOfBudget, 0},
	}
}

// timed is d for a policy that needs a clock, otherwise 0.
func timed(p *rebound.Policy, d time.Duration) time.Duration {
	if p.MaxElapsed|p.AttemptTimeout == 0 && p.Observe == nil {
		return 0
	}
	return d
}

func TestFallback(t *testing.T) {
	for _, row := range chains() {
		synctest.Test(t, func(t *testing.T) {
			asked, begin := "", time.Now()
			v, err := llm.Fallback(t.Context(), row.policy, []string{"a", "b", "c"},
				func(_ context.Context, model string) (string, error) {
					asked += model
					return model, row.script.play(model)
				})
			var e *rebound.Error
			errors.As(err, &e)
			switch {
			case asked != row.want || time.Since(begin) != row.took:
				t.Errorf("%s: asked %s in %v, want %s in %v (%v)",
					row.name, asked, time.Since(begin), row.want, row.took, err)
			case row.reason == "" && err != nil || row.reason != "" && !errors.Is(err, row.reason):
				t.Errorf("%s: got %v, want %q", row.name, err, row.reason)
			case v != asked[len(asked)-1:]:
				t.Errorf("%s: got the value %s, want that of the last model", row.name, v)
			case e != nil && (e.Attempts != len(asked) || e.Elapsed != timed(row.policy, row.took) ||
				e.Err == nil):
				t.Errorf("%s: the error has %d attempts, %v, %v", row.name, e.Attempts, e.Elapsed,
					e.Err)
			}
		})
	}
}

func TestFallbackCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(cause) })
		begin := time.Now()
		_, err := llm.Fallback(ctx, exact(5), []string{"a"},
			func(context.Context, string) (int, error) { return 0, busy })
		took := time.Since(begin)
		if took != 3*time.Second || !errors.Is(err, rebound.Canceled) ||
			!errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !errors.Is(err, busy) {
			t.Errorf("after %v: %v, want canceled after 3s, with cause and last error", took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := llm.Fallback(ctx, exact(5), []string{"a"},
			func(context.Context, string) (int, error) { return 0, busy })
		if took := time.Since(begin); took != 0 || !errors.Is(err, rebound.PastDeadline) {
			t.Errorf("after %v: %v, want past the deadline at once", took, err)
		}
	})
	if _, err := llm.Fallback(t.Context(), nil, nil,
		func(context.Context, string) (int, error) { return 0, nil }); !errors.Is(err,
		rebound.Invalid) {
		t.Errorf("no models: got %v, want invalid", err)
	}
}

// Each attempt enters the policy's gates and has its timeout.
func TestFallbackGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Failures: 2}
		p := &rebound.Policy{Attempts: 5, Breaker: b, Backoff: backoff.Constant(0),
			AttemptTimeout: time.Second, MaxElapsed: 90 * time.Second}
		calls, begin := 0, time.Now()
		_, err := llm.Fallback(t.Context(), p, []string{"a", "b"},
			func(ctx context.Context, _ string) (int, error) {
				calls++
				<-ctx.Done()
				return 0, ctx.Err()
			})
		if calls != 2 || !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, rebound.Rejected) ||
			time.Since(begin) != 2*time.Second {
			t.Errorf("%d calls in %v, %v, want 2 in 2s, rejected", calls, time.Since(begin), err)
		}
	})
}

func TestFallbackObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		p := exact(3)
		p.Observe = func(_ context.Context, e rebound.Event) {
			log = append(log, fmt.Sprint(e.Kind, " ", e.Policy, " ", e.Attempt, " ", e.Delay, " ",
				e.Elapsed, " ", e.Reason))
		}
		s := script{"a": []error{reset}}
		ask := func(_ context.Context, model string) (int, error) { return 0, s.play(model) }
		if _, err := llm.Fallback(t.Context(), p, []string{"a", "b"}, ask); err != nil {
			t.Error(err)
		}
		s["b"] = []error{reset}
		_, _ = llm.Fallback(t.Context(), p, []string{"a", "b"}, ask)
		want := "retrying chain 1 1s 0s , retrying chain 2 0s 1s , succeeded chain 3 0s 1s , " +
			"retrying chain 1 1s 0s , retrying chain 2 0s 1s , gave_up chain 3 0s 1s exhausted"
		if got := strings.Join(log, ", "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// The chain's attempts are those on the wire: the transports below make one for each.
func TestFallbackOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{failing(503, "")}}
		client := &http.Client{Transport: &llm.Transport{Base: s}}
		_, err := llm.Fallback(t.Context(), exact(4), []string{"/a/", "/b/"},
			func(ctx context.Context, model string) (int, error) {
				req, _ := http.NewRequestWithContext(ctx, "POST",
					"http://a"+model+"v1/chat/completions", http.NoBody)
				resp, err := client.Do(req)
				if err != nil {
					return 0, err
				}
				return 0, &sdkError{resp}
			})
		if s.calls != 4 || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("%d calls, %v, want 4, exhausted", s.calls, err)
		}
	})
}

// sdkError is like the errors of SDKs.
type sdkError struct{ Response *http.Response }

func (e *sdkError) Error() string   { return e.Response.Status }
func (e *sdkError) RawJSON() string { return "" }
