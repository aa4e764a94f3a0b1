package sim

import (
	"cmp"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/bucket"
	"github.com/rebound-go/rebound/internal/hedging"
)

// The defaults of a hedge.Hedge.
const (
	defaultHedges = 1    // of an attempt
	hedgeDeposit  = 0.05 // of a budget of its own, for each success
)

// A hedge.Hedge decides by a state of package hedging, and by a budget. The simulator does the
// same with a state for each process, as a program that runs in ten processes has ten. Times are
// those of the run, and nothing here makes an event: the engine does, in race.go.

// hedger is the hedge of a scenario: its settings, and the state of each process.
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

// hedgeState is what one process remembers.
type hedgeState struct {
	hedging.State
	tokens bucket.Bucket
}

// race is an attempt that may be hedged.
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

// newHedger returns the state of a scenario's hedge, nil if it has none.
func newHedger(s *Scenario, p *rebound.Policy, errs []error) *hedger {
	h := s.Hedge
	if h == nil {
		return nil
	}
	x := &hedger{
		config: hedging.Config{After: h.After, Percentile: h.Percentile},
		most:   cmp.Or(h.Max, defaultHedges),
		// That of a hedge.Hedge which has no budget of another.
		budget:    bucket.Config{Deposit: hedgeDeposit, Refill: bucket.None},
		deposits:  h.Budget == nil,
		processes: make([]hedgeState, s.Clients.Processes),
		faults:    make([]fault.Fault, len(errs)),
	}
	if b := h.Budget; b != nil {
		x.shared = b == p.RetryBudget()
		x.budget = bucket.Config{Capacity: b.Capacity, Deposit: b.Deposit, Refill: b.Refill}
	}
	for c, err := range errs {
		x.faults[c] = fault.Of(err)
	}
	return x
}

// success is what a process learns from an attempt that was answered.
func (x *hedger) success(h *hedgeState, took time.Duration) {
	h.End()
	if x.deposits {
		h.tokens = h.tokens.Success(x.budget)
	}
	if x.config.After == 0 {
		h.Success(x.config, took)
	}
}

// meet is what a process learns from the failure of a leg. It reports whether that ends hedging
// for the attempt.
func (x *hedger) meet(h *hedgeState, now time.Duration, l *leg) (ends bool) {
	f := &x.faults[l.cause]
	after := f.After
	if after == asked {
		after = l.after
	}
	if f.Kind == fault.RateLimited || f.Kind == fault.Overloaded || after > 0 {
		h.Throttle(now, after)
		return true
	}
	return f.Kind == fault.Permanent
}

// first is the leg that ends next. Of two at once it is the one that began first.
func (r *race) first() int {
	next := -1
	for i := range r.legs {
		if l := &r.legs[i]; !l.over && (next < 0 || l.at < r.legs[next].at) {
			next = i
		}
	}
	return next
}

// won is when the first success of the legs under way will come; never, if all will fail.
func (r *race) won() time.Duration {
	end := never
	for i := range r.legs {
		if l := &r.legs[i]; l.cause == served {
			end = min(end, l.at)
		}
	}
	return end
}
