package rebounddebug

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/distinct"
)

// shown is the largest number of breakers, and of limits, on the page. A group may have one for
// each customer, and a page with thousands of rows is not readable.
const shown = 100

// breakersState holds the breakers that are shown. Those that are not closed come first.
type breakersState struct {
	Breakers []breakerState `json:"breakers"`
	// Counts is the number of all breakers by state.
	Counts map[string]int `json:"breaker_counts"`
	// LeftOut is the number of breakers by state that are not in Breakers.
	LeftOut map[string]int `json:"breakers_left_out"`
}

// breakerState is a breaker and its recent changes. The breaker itself is kept for control
// requests, and is not in the JSON.
type breakerState struct {
	ID string `json:"id"`
	breaker.Snapshot
	History []change `json:"history"` // oldest first

	breaker Breaker
}

// rank orders breakers by how soon they need attention. A breaker that is forced closed protects
// nothing.
func (b breakerState) rank() int {
	switch {
	case b.State == breaker.Open:
		return 0
	case b.State == breaker.HalfOpen:
		return 1
	// No cooldown ends a forced state, so it must stay visible.
	case b.Forced:
		return 2
	}
	return 3
}

// firstBreakers sorts all breakers, selects those to show, and counts the others.
func (o *Options) firstBreakers(all []breakerState, most int) breakersState {
	s := breakersState{
		Breakers: []breakerState{}, Counts: map[string]int{}, LeftOut: map[string]int{},
	}
	// The sort is stable, so that breakers without problems keep their places.
	slices.SortStableFunc(all, func(a, b breakerState) int {
		return cmp.Compare(a.rank(), b.rank())
	})
	// All breakers are counted, so that the page shows how many open ones it leaves out.
	for i, b := range all {
		s.Counts[b.State.String()]++
		if i >= most {
			s.LeftOut[b.State.String()]++
			continue
		}
		b.History = o.Changes.of(b.Snapshot)
		s.Breakers = append(s.Breakers, b)
	}
	return s
}

// breakers returns every breaker once, each with a unique id, in the order of the options.
func (o *Options) breakers() (states []breakerState) {
	var ids uniqueNames
	var seen distinct.Objects
	add := func(b Breaker, s breaker.Snapshot, owner string) {
		states = append(states, breakerState{
			ID: ids.of(cmp.Or(s.Name, owner, "(unnamed)")), Snapshot: s, breaker: b,
		})
	}
	for _, policy := range o.Policies {
		for _, b := range breakersOf(orZero(policy)) {
			if seen.Add(b) {
				add(b, b.Snapshot(), orZero(policy).Name)
			}
		}
	}
	for _, b := range o.Breakers {
		if seen.Add(b) {
			add(b, b.Snapshot(), "")
		}
	}
	for _, g := range o.Groups {
		for _, n := range byName(g) {
			if seen.Add(n.b) {
				add(n.b, n.s, "")
			}
		}
	}
	return states
}

// breakersOf returns a policy's Breaker, and the breakers among its gates.
func breakersOf(p *rebound.Policy) (found []Breaker) {
	// The policy's breaker comes first, because the page names it as the policy's.
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

// namedBreaker is a breaker and its state. The state is read only once: it may change while
// breakers are sorted.
type namedBreaker struct {
	b Breaker
	s breaker.Snapshot
}

// byName returns a group's breakers sorted by name, because a group has no order.
func byName(group iter.Seq[Breaker]) (all []namedBreaker) {
	for b := range group {
		all = append(all, namedBreaker{b, b.Snapshot()})
	}
	slices.SortFunc(all, func(a, b namedBreaker) int { return cmp.Compare(a.s.Name, b.s.Name) })
	return all
}

// uniqueNames makes unique ids from names. Names need not be unique, but a control request must
// reach the right breaker. The value is the last number used for a name, so that thousands of
// breakers may have the same name.
type uniqueNames map[string]int

func (u *uniqueNames) of(name string) string {
	if *u == nil {
		*u = make(uniqueNames)
	}
	// The first breaker has the plain name, so that its id does not change when others appear.
	id, n := name, max((*u)[name], 1)
	for (*u)[id] > 0 {
		n++
		id = fmt.Sprintf("%s #%d", name, n)
	}
	(*u)[name], (*u)[id] = n, max((*u)[id], 1)
	return id
}

// finite returns x, or 0 if JSON cannot hold x. One such number would make the whole page fail.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
