package llm_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

// These tests check that Fallback does the same as rebound.Do.

// ten is a policy of three attempts with 10 s between them, whose events are kept in log.
func ten(log *[]rebound.Event) *rebound.Policy {
	return &rebound.Policy{
		Attempts: 3, Backoff: backoff.Constant(10 * time.Second),
		Observe: func(_ context.Context, e rebound.Event) { *log = append(*log, e) },
	}
}

func boom(context.Context, string) (int, error) { return 0, errors.New("boom") }

// A delay that ends while the breaker is open does not begin.
func TestFallbackOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []rebound.Event
		p := ten(&log)
		p.Breaker = &breaker.Breaker{Failures: 1}
		begin := time.Now()
		_, err := llm.Fallback(t.Context(), p, []string{"a"}, boom)
		if took := time.Since(begin); took != 0 || !errors.Is(err, rebound.Rejected) ||
			!errors.Is(err, breaker.ErrOpen) {
			t.Errorf("after %v: %v, want rejected by the breaker at once", took, err)
		}
		if len(log) != 1 || log[0].Kind != rebound.GaveUp {
			t.Errorf("got %d events, want GaveUp alone", len(log))
		}
	})
}

// A delay that is cancelled gives its token back, its attempt is reported once, and the text counts
// the attempts of the policy.
func TestFallbackCancelledDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []rebound.Event
		p := ten(&log)
		p.Budget = &budget.Budget{}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err := llm.Fallback(ctx, p, []string{"a"}, boom)
		if level := p.Budget.Level(); level != 10 {
			t.Errorf("budget at %v, want 10: the retry did not take place", level)
		}
		if last := log[len(log)-1]; last.Kind != rebound.GaveUp || !last.Announced {
			t.Errorf("got %v, Announced %v, want GaveUp, Announced", last.Kind, last.Announced)
		}
		if text := err.Error(); !strings.Contains(text, "attempt 1 of 3") {
			t.Errorf("got %q, want attempt 1 of 3", text)
		}
	})
}

// An answer shows that the service is healthy, and deposits as much as a success.
func TestFallbackAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(0), Budget: &budget.Budget{},
			Classify: func(err error) fault.Fault {
				if err.Error() == "none" {
					return fault.Fault{Kind: fault.None, Err: err}
				}
				return fault.Of(err)
			}}
		s := script{"a": errs{errors.New("boom"), errors.New("none")}}
		_, _ = llm.Fallback(t.Context(), p, []string{"a"},
			func(_ context.Context, model string) (int, error) { return 0, s.play(model) })
		if level := p.Budget.Level(); level != 9.1 {
			t.Errorf("budget at %v, want 9.1: a token for the retry, a tenth back", level)
		}
	})
}
