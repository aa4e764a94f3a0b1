package rebounddebug

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/stats"
)

// shownDelays is the number of delays of a schedule that the page shows. Later delays differ
// little.
const shownDelays = 6

// state is everything that the page shows, as JSON. Durations are in nanoseconds.
type state struct {
	Title    string          `json:"title"`
	Control  bool            `json:"control"` // ControlToken is set
	Total    stats.Summary   `json:"total"`
	Policies []policyState   `json:"policies"`
	Failures []stats.Failure `json:"failures"` // newest first
	breakersState
	limitsState
}

// policyState holds a policy's counts, and its configuration if it is in Options.Policies.
type policyState struct {
	stats.Summary
	Config *config `json:"config,omitempty"`
}

// config holds a policy's fields, with defaults in place of zeros.
type config struct {
	// Attempts is the largest number of attempts. -1 = unlimited.
	Attempts int `json:"attempts"`

	AttemptTimeout time.Duration `json:"attempt_timeout_ns"`
	MaxElapsed     time.Duration `json:"max_elapsed_ns"`

	// Schedule holds the first delays, without jitter.
	Schedule []time.Duration `json:"schedule_ns"`

	NonIdempotent bool        `json:"non_idempotent"`
	Budget        budgetState `json:"budget"`

	// Breaker is the id of the policy's breaker.
	Breaker string `json:"breaker,omitempty"`
}

// budgetState is the state of a retry budget. Kind shows whether other policies may share the
// budget.
type budgetState struct {
	// Kind is "set" for Policy.Budget, "own" for a budget of this policy alone, or "unlimited".
	Kind string `json:"kind"`

	// Level is the number of tokens left. It is a pointer because 0 is a level, too. Nil = unlimited.
	Level    *float64 `json:"level,omitempty"`
	Capacity float64  `json:"capacity,omitempty"`
}

// state collects everything that the page shows, with at most the given number of breakers, and of
// limits.
func (o *Options) state(most int) state {
	breakers := o.breakers()
	s := state{
		Title: o.Title, Control: o.ControlToken != "", Policies: []policyState{},
		Failures: []stats.Failure{}, breakersState: o.firstBreakers(breakers, most),
		limitsState: o.limits(most),
	}
	// A policy refers to its breaker by id, shown or not.
	ids := make(map[Breaker]string)
	for _, b := range breakers {
		if own, ok := b.breaker.(*breaker.Breaker); ok {
			ids[own] = b.ID
		}
	}
	known := map[string]int{} // index in s.Policies, by name
	for _, policy := range o.Policies {
		policy = orZero(policy)
		// Counts are kept by name, so two policies with the same name would show the same counts twice.
		if _, again := known[policy.Name]; again {
			continue
		}
		known[policy.Name] = len(s.Policies)
		s.Policies = append(s.Policies, policyState{
			Summary: stats.Summary{Policy: policy.Name}, Config: describe(policy, ids),
		})
	}
	if o.Recorder == nil {
		return s
	}
	counts := o.Recorder.Snapshot()
	s.Total = counts.Total
	for _, c := range counts.Policies {
		// Policies that are only in the Recorder come after those of the options.
		if i, ok := known[c.Policy]; ok {
			s.Policies[i].Summary = c
		} else {
			s.Policies = append(s.Policies, policyState{Summary: c})
		}
	}
	s.Failures = append(s.Failures, counts.Recent...)
	return s
}

// describe returns the configuration in effect: the fields of p, or the defaults in their place.
func describe(p *rebound.Policy, ids map[Breaker]string) *config {
	c := &config{
		Attempts: p.MaxAttempts(), AttemptTimeout: p.AttemptTimeout,
		MaxElapsed: p.MaxElapsed, NonIdempotent: p.NonIdempotent, Budget: describeBudget(p),
	}
	// There is no delay after the last attempt.
	delays := c.Attempts - 1
	if c.Attempts < 0 {
		delays = shownDelays
	}
	c.Schedule = p.Schedule(min(delays, shownDelays))
	if p.Breaker != nil {
		c.Breaker = ids[p.Breaker]
	}
	return c
}

// describeBudget returns the state of the budget in effect. A policy without a Budget has one of
// its own, which is not in its fields.
func describeBudget(p *rebound.Policy) budgetState {
	b := p.RetryBudget()
	if b == nil || math.IsInf(b.Capacity, 1) {
		return budgetState{Kind: "unlimited"}
	}
	level, kind := b.Level(), "own"
	if p.Budget != nil {
		kind = "set"
	}
	return budgetState{Kind: kind, Level: &level, Capacity: b.Size()}
}

// writeJSON indents the JSON, because people read it with curl.
func writeJSON(w http.ResponseWriter, v any) {
	// The whole text is made before any of it is sent. After that, the status could not report an
	// error.
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Vary", "Accept")
	_, _ = w.Write(append(text, '\n')) // an error means that the client is gone
}
