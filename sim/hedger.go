package sim

import (
	"cmp"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/bucket"
	"github.com/rebound-go/rebound/internal/hedging"
)

// The defaults of a hedge.Hedge, which exports none. The differential test compares the two.
const (
	defaultHedges = 1    // of an attempt
	hedgeDeposit  = 0.05 // of its own budget, for each success
)

// hedger is the hedge of a scenario: its settings, and the state of each process. Like a
// hedge.Hedge it decides by a state of package hedging and by a budget. Times are those of the run.
// Nothing here makes an event; the engine does, in race.go.
type hedger struct {
	config    hedging.Config
	most      int           // hedges of an attempt
	budget    bucket.Config // of each process,
	deposits  bool          // which successes of attempts pay;
	shared    bool          // or that of the policy pays for hedges
	processes []hedgeState
	races     []race        // of each entity
	faults    []fault.Fault // what each cause means
}

// hedgeState is the state of the hedge in one process.
type hedgeState struct {
	hedging.State
	tokens bucket.Bucket
}

// race is an attempt that may be hedged. It is used again for the next attempt of its entity, legs
// included.
type race struct {
	start time.Duration
	delay time.Duration // until a hedge, and each further one
	due   time.Duration // when the next one begins; never = none does
	legs  []leg         // the first request and its hedges
	over  int           // legs that have ended
}

// leg is one of the requests of an attempt. How and when it ends is certain when it begins.
type leg struct {
	at    time.Duration
	cause cause
	over  bool
	after time.Duration // as in extra
	quota quota
}

// newHedger returns the hedge of a scenario, or nil if it has none.
func newHedger(s *Scenario, p *rebound.Policy, errs []error) *hedger {
	h := s.Hedge
	if h == nil {
		return nil
	}
	x := &hedger{
		config: hedging.Config{After: h.After, Percentile: h.Percentile},
		most:   cmp.Or(h.Max, defaultHedges),
		// The budget of a hedge.Hedge whose Budget is nil.
		budget:    bucket.Config{Deposit: hedgeDeposit, Refill: bucket.None},
		deposits:  h.Budget == nil,
		processes: make([]hedgeState, s.Clients.Processes),
		faults:    make([]fault.Fault, len(errs)),
	}
	// The simulator has a budget for each process, so a shared one must be recognised by its address.
	if b := h.Budget; b != nil {
		x.shared = b == p.RetryBudget()
		x.budget = bucket.Config{Capacity: b.Capacity, Deposit: b.Deposit, Refill: b.Refill}
	}
	for c, err := range errs {
		x.faults[c] = fault.Of(err)
	}
	return x
}

// success records an attempt that was answered after took.
func (x *hedger) success(h *hedgeState, took time.Duration) {
	h.End()
	if x.deposits {
		h.tokens = h.tokens.Success(x.budget)
	}
	if x.config.After == 0 {
		h.Success(x.config, took)
	}
}

// meet records the failure of a leg. It returns true if the failure ends the hedging of the
// attempt.
func (x *hedger) meet(h *hedgeState, now time.Duration, l *leg) (ends bool) {
	f := &x.faults[l.cause]
	after := f.After
	// The delay is the leg's own, since every answer of a limit has a different one.
	if after == asked {
		after = l.after
	}
	if f.Kind == fault.RateLimited || f.Kind == fault.Overloaded || after > 0 {
		h.Throttle(now, after)
		return true
	}
	return f.Kind == fault.Permanent
}

// first is the leg that ends next. Of two at the same time it is the one that began first.
func (r *race) first() int {
	next := -1
	for i := range r.legs {
		if l := &r.legs[i]; !l.over && (next < 0 || l.at < r.legs[next].at) {
			next = i
		}
	}
	return next
}

// won is when the first success of the legs under way will come, or never if all will fail.
func (r *race) won() time.Duration {
	end := never
	for i := range r.legs {
		if l := &r.legs[i]; l.cause == served {
			end = min(end, l.at)
		}
	}
	return end
}
