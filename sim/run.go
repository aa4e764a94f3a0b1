package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
)

// Run plays s once for each of its policies. The error names an invalid field and the values that
// are valid. A run that is too large, or whose clock stands still, is an error about a field, too.
// Several goroutines may run the same scenario.
func Run(s Scenario) (Result, error) {
	s, err := s.complete()
	if err != nil {
		return Result{}, err
	}
	r := Result{Scenario: s, TroubleEnd: s.trouble()}
	for i, p := range s.Policies {
		x := newEngine(&s, p)
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

// complete returns a valid scenario with its defaults in place, which shares nothing with s but the
// policies. Defaults come first, so that validation sees the scenario that would be played.
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
	if len(s.Policies) == 0 {
		s.Policies = []*rebound.Policy{nil}
	}
	for i, p := range s.Policies {
		if p == nil {
			s.Policies[i] = &rebound.Policy{Name: "zero policy"}
		}
	}
	if err := s.validate(); err != nil {
		return s, err
	}
	s.Clients.Profile = slices.Clone(s.Clients.Profile)
	s.Server.Windows = slices.Clone(s.Server.Windows)
	for i := range s.Server.Windows {
		if w := &s.Server.Windows[i]; w.To == 0 {
			w.To = s.Duration
		}
	}
	return s, nil
}

// trouble is when the last window has ended: 0 without windows, Duration if it lasts to the end of
// the run. A window that lasts for the whole run is what is normal in it, and no trouble.
func (s *Scenario) trouble() (last time.Duration) {
	for i := range s.Server.Windows {
		if w := &s.Server.Windows[i]; w.From > 0 || w.To < s.Duration {
			last = max(last, w.end())
		}
	}
	return min(last, s.Duration)
}
