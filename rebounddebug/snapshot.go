package rebounddebug

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/stats"
)

const (
	shownOfGroup = 100
	shownWaits   = 6
)

type page struct {
	Options
	every   time.Duration // between two looks for those who watch
	clients atomic.Int32  // that watch
}

// state is all that the page shows, as JSON: durations are nanoseconds.
type state struct {
	Title    string          `json:"title"`
	Control  bool            `json:"control"` // there is a token
	Total    stats.Summary   `json:"total"`
	Policies []policyState   `json:"policies"`
	Breakers []breakerState  `json:"breakers"`
	Failures []stats.Failure `json:"failures"` // newest first
}

// policyState is a policy's counts, and its fields if it is in Options.Policies.
type policyState struct {
	stats.Summary
	Config *config `json:"config,omitempty"`
}

// config is what a policy's fields mean, with the defaults in place of zeros.
type config struct {
	Attempts       int             `json:"attempts"` // -1 = unlimited
	AttemptTimeout time.Duration   `json:"attempt_timeout_ns"`
	MaxElapsed     time.Duration   `json:"max_elapsed_ns"`
	Schedule       []time.Duration `json:"schedule_ns"` // the first waits, without jitter
	NonIdempotent  bool            `json:"non_idempotent"`
	Budget         budgetState     `json:"budget"`
	Breaker        string          `json:"breaker,omitempty"` // its id
}

// budgetState is the state of a retry budget. The kind shows whether other policies may share the
// budget: one that is a policy's own serves that policy alone.
type budgetState struct {
	Kind     string   `json:"kind"`            // "set", "own" or "unlimited"
	Level    *float64 `json:"level,omitempty"` // tokens, unless unlimited
	Capacity float64  `json:"capacity,omitempty"`
}

// breakerState is a breaker and its recent past. The breaker itself is there to be controlled, and
// not in the JSON.
type breakerState struct {
	ID string `json:"id"`
	breaker.Snapshot
	History []change `json:"history"` // oldest first

	breaker Breaker
}

// state looks at everything.
func (p *page) state() state {
	s := state{
		Title: p.Title, Control: p.ControlToken != "", Policies: []policyState{},
		Breakers: p.breakers(), Failures: []stats.Failure{},
	}
	known := map[string]int{} // index in s.Policies, by name
	for _, policy := range p.Policies {
		policy = orZero(policy)
		// Counts are kept by name: policies that share one would show the same counts twice.
		if _, again := known[policy.Name]; again {
			continue
		}
		known[policy.Name] = len(s.Policies)
		s.Policies = append(s.Policies, policyState{
			Summary: stats.Summary{Policy: policy.Name}, Config: describe(policy, s.Breakers),
		})
	}
	if p.Recorder == nil {
		return s
	}
	counts := p.Recorder.Snapshot()
	s.Total = counts.Total
	for _, c := range counts.Policies {
		if i, ok := known[c.Policy]; ok {
			s.Policies[i].Summary = c
		} else {
			s.Policies = append(s.Policies, policyState{Summary: c})
		}
	}
	s.Failures = append(s.Failures, counts.Recent...)
	return s
}

// orZero returns a zero policy for a nil one, which means the same.
func orZero(p *rebound.Policy) *rebound.Policy {
	if p == nil {
		return new(rebound.Policy)
	}
	return p
}

func describe(p *rebound.Policy, breakers []breakerState) *config {
	c := &config{
		Attempts: p.MaxAttempts(), AttemptTimeout: p.AttemptTimeout,
		MaxElapsed: p.MaxElapsed, NonIdempotent: p.NonIdempotent, Budget: describeBudget(p),
	}
	waits := c.Attempts - 1
	if c.Attempts < 0 {
		waits = shownWaits
	}
	c.Schedule = p.Schedule(min(waits, shownWaits))
	for _, b := range breakers {
		if p.Breaker != nil && b.breaker == Breaker(p.Breaker) {
			c.Breaker = b.ID
		}
	}
	return c
}

// describeBudget reads the budget in force, which the fields of p do not show: a policy without a
// Budget has one of its own.
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

// breakers returns all breakers there are, each once, with an id that only it has.
func (p *page) breakers() []breakerState {
	states, taken, seen := []breakerState{}, map[string]bool{}, map[Breaker]bool{}
	add := func(b Breaker, owner string) {
		// A custom Breaker may have a type that cannot be a map's key; using it as one would panic.
		switch t := reflect.TypeOf(b); {
		case t == nil || t.Comparable() && seen[b]:
			return
		case t.Comparable():
			seen[b] = true
		}
		s := breakerState{Snapshot: b.Snapshot(), breaker: b}
		name := cmp.Or(s.Name, owner, "(unnamed)")
		s.ID = name
		// Names need not be unique, but an order must reach the breaker that was meant.
		for n := 2; taken[s.ID]; n++ {
			s.ID = fmt.Sprintf("%s #%d", name, n)
		}
		taken[s.ID] = true
		s.History = p.Changes.of(s.Snapshot)
		states = append(states, s)
	}
	for _, policy := range p.Policies {
		for _, b := range breakersOf(orZero(policy)) {
			add(b, orZero(policy).Name)
		}
	}
	for _, b := range p.Breakers {
		add(b, "")
	}
	for _, g := range p.Groups {
		for _, b := range firstOf(g) {
			add(b, "")
		}
	}
	return states
}

// breakersOf returns the breakers around a policy's attempts: one may be its Breaker, and any gate
// may be one.
func breakersOf(p *rebound.Policy) (found []Breaker) {
	if p.Breaker != nil {
		found = append(found, p.Breaker)
	}
	for _, g := range p.Gates {
		if b, ok := g.(Breaker); ok {
			found = append(found, b)
		}
	}
	return found
}

// firstOf returns the first of a group by name: groups have no order of their own. A group may have
// a breaker for each customer; a page of thousands would be of no use.
func firstOf(group iter.Seq[Breaker]) (first []Breaker) {
	type named struct {
		name string
		b    Breaker
	}
	var all []named
	for b := range group {
		all = append(all, named{b.Snapshot().Name, b})
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	for _, n := range all[:min(len(all), shownOfGroup)] {
		first = append(first, n.b)
	}
	return first
}

// dated is a state and the moment it was true at, by this machine's clock.
type dated struct {
	Time time.Time `json:"time"`
	state
}

func (p *page) serveJSON(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, dated{time.Now(), p.state()})
}

// writeJSON indents, as people read it with curl.
func writeJSON(w http.ResponseWriter, v any) {
	// The whole text first: once a part is sent, the status cannot be an error any more.
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Vary", "Accept")
	_, _ = w.Write(append(text, '\n')) // what can fail is the connection
}
