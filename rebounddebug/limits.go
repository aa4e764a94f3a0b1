package rebounddebug

import (
	"cmp"
	"slices"

	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/internal/distinct"
	"github.com/rebound-go/rebound/limit"
)

// limitsState holds the limits that are shown, and the hedges. Limits that delay or reject attempts
// now come first.
type limitsState struct {
	Limits        []limitState `json:"limits"`
	LimitsLeftOut int          `json:"limits_left_out"`
	Hedges        []hedgeState `json:"hedges"`
}

// limitState is a limit with a unique id. The page finds the limit's row by this id.
type limitState struct {
	ID string `json:"id"`
	limit.Snapshot
}

// hedgeState is a hedge with a unique id.
type hedgeState struct {
	ID string `json:"id"`
	hedge.Snapshot
}

// holds reports whether a limit delays or rejects attempts now.
func (l limitState) holds() bool {
	switch {
	// Attempts wait. This applies to all kinds.
	case l.Waiting > 0:
		return true
	case l.Kind == "throttle":
		return l.Limit < 1
	// A debt: attempts are rejected or wait until it is paid.
	case l.Kind == "rate":
		return l.Level < 0
	}
	// All permits are taken.
	return l.Level <= 0 && l.InFlight > 0
}

// limits selects the limits to show, and counts the others.
func (o *Options) limits(most int) limitsState {
	all := o.allLimits()
	slices.SortStableFunc(all, func(a, b limitState) int {
		return cmp.Compare(before(a.holds()), before(b.holds()))
	})
	s := limitsState{Limits: []limitState{}, Hedges: []hedgeState{}}
	s.Limits = append(s.Limits, all[:min(most, len(all))]...)
	s.LimitsLeftOut = len(all) - len(s.Limits)
	var ids uniqueNames
	var seen distinct.Objects
	for _, h := range o.Hedges {
		if seen.Add(h) {
			v := h.Snapshot()
			s.Hedges = append(s.Hedges, hedgeState{ids.of(cmp.Or(v.Name, "(unnamed)")), v})
		}
	}
	return s
}

// before returns the sort key of an item: 0 if it comes first, and 1 otherwise.
func before(first bool) int {
	if first {
		return 0
	}
	return 1
}

// allLimits returns the limits among the policies' gates and those of the options, each once.
func (o *Options) allLimits() (all []limitState) {
	var ids uniqueNames
	var seen distinct.Objects
	add := func(s limit.Snapshot, owner string) {
		// A custom limit may report infinity.
		s.Limit, s.Level = finite(s.Limit), finite(s.Level)
		all = append(all, limitState{ids.of(cmp.Or(s.Name, owner, "(unnamed)")), s})
	}
	for _, policy := range o.Policies {
		for _, g := range orZero(policy).Gates {
			if l, ok := g.(Limit); ok && seen.Add(l) {
				add(l.Snapshot(), orZero(policy).Name)
			}
		}
	}
	for _, l := range o.Limits {
		if seen.Add(l) {
			add(l.Snapshot(), "")
		}
	}
	for _, group := range o.LimitGroups {
		// A group has no order. Without sorting, rows would change places every second.
		members := slices.SortedFunc(group, func(a, b limit.Snapshot) int {
			return cmp.Compare(a.Name, b.Name)
		})
		for _, s := range members {
			add(s, "")
		}
	}
	return all
}
