package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
)

// Run plays s once for each of its policies. It returns an error that names the first invalid field
// and its valid values. If a run is too large, or its calls take no time, the error names the field
// to change. Goroutines may run the same scenario at the same time.
func Run(s Scenario) (Result, error) {
	s, err := s.complete()
	if err != nil {
		return Result{}, err
	}
	// The scenario is part of the result, so that a result can be understood and repeated by itself.
	r := Result{Scenario: s, TroubleEnd: s.trouble()}
	for i, p := range s.Policies {
		x := newEngine(&s, p)
		// Errors name the policy by its index.
		x.policy = i
		if err := x.run(); err != nil {
			return Result{}, err
		}
		one := x.tally.result(r.TroubleEnd)
		one.Policy = name(p, i)
		r.Policies = append(r.Policies, one)
	}
	return r, nil
}

// complete returns a valid scenario with defaults in place, which shares only the policies with s.
// Defaults come first, so that validation sees the scenario that would be played.
func (s Scenario) complete() (Scenario, error) {
	if s.Duration == 0 {
		s.Duration = defaultDuration
	}
	if s.Bin == 0 {
		s.Bin = min(defaultBin, s.Duration)
	}
	if s.MaxAttempts == 0 {
		s.MaxAttempts = defaultMaxAttempts
	}
	if s.Clients.Processes == 0 {
		// By default, each client is a separate process.
		s.Clients.Processes = max(s.Clients.Count, 1)
	}
	s.Server.Replicas = cmp.Or(s.Server.Replicas, 1)
	if l := &s.Server.Limit; l.on() {
		l.Per, l.Cost = cmp.Or(l.Per, defaultPer), cmp.Or(l.Cost, defaultCost)
	}
	s.Layers = slices.Clone(s.Layers)
	for i := range s.Layers {
		if s.Layers[i].Processes == 0 {
			s.Layers[i].Processes = 1
		}
	}
	s.Policies = slices.Clone(s.Policies)
	// A scenario without policies shows what the defaults do.
	if len(s.Policies) == 0 {
		s.Policies = []*rebound.Policy{nil}
	}
	for i, p := range s.Policies {
		if p == nil {
			// The name shows in the result that no policy was given.
			s.Policies[i] = &rebound.Policy{Name: "zero policy"}
		}
	}
	if err := s.validate(); err != nil {
		return s, err
	}
	// Clones, because the caller may change the scenario while another goroutine still runs it.
	s.Clients.Profile = slices.Clone(s.Clients.Profile)
	s.Server.Windows = slices.Clone(s.Server.Windows)
	for i := range s.Server.Windows {
		// After validation, which must see whether To was set.
		if w := &s.Server.Windows[i]; w.To == 0 {
			w.To = s.Duration
		}
	}
	return s, nil
}

// trouble is when the last window has ended: 0 without windows, and Duration if one lasts to the
// end of the run. A window over the whole run is the normal state, and not trouble.
func (s *Scenario) trouble() (last time.Duration) {
	for i := range s.Server.Windows {
		if w := &s.Server.Windows[i]; w.From > 0 || w.To < s.Duration {
			last = max(last, w.end())
		}
	}
	return min(last, s.Duration)
}
