package sim

import (
	"cmp"
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
)

const (
	defaultDuration    = time.Minute
	defaultBin         = time.Second
	defaultMaxAttempts = 200_000_000
	defaultPer         = time.Second // of a Limit
	defaultCost        = 1           // of an attempt, in tokens

	// Within these a run fits into a few gigabytes, and its times and counts into their types.
	maxDuration = 30 * 24 * time.Hour
	maxBins     = 100_000
	maxClients  = 10_000_000
	maxWorkers  = 1_000_000
	maxCalls    = 100_000_000
	maxLayers   = 10
	maxWindows  = 1000
	maxPoints   = 10_000
	maxQueue    = 20_000_000
)

// wrong is an error about a field.
func wrong(field string, got any, want string) error {
	return fmt.Errorf("sim: Scenario.%s is %v: want %s", field, got, want)
}

// within refuses a time that is negative or too long.
func within(field string, d time.Duration) error {
	if d < 0 || d > maxDuration {
		return wrong(field, d, fmt.Sprintf("0 to %v", maxDuration))
	}
	return nil
}

// validate returns an error that names the first invalid field and the values that are valid.
func (s *Scenario) validate() error {
	switch {
	case s.Duration < 0 || s.Duration > maxDuration:
		return wrong("Duration", s.Duration, fmt.Sprintf("up to %v, or 0 for %v",
			maxDuration, defaultDuration))
	case s.Bin < 0 || s.Bin > s.Duration:
		return wrong("Bin", s.Bin, fmt.Sprintf("at most Duration, or 0 for %v", defaultBin))
	case s.Duration/s.Bin >= maxBins:
		return wrong("Bin", s.Bin, fmt.Sprintf("%v or more, a hundred thousandth of Duration",
			s.Duration/maxBins+1))
	case s.MaxAttempts < 0:
		return wrong("MaxAttempts", s.MaxAttempts, fmt.Sprintf("1 or more, or 0 for %d",
			defaultMaxAttempts))
	}
	return cmp.Or(
		s.Clients.validate(s.Duration), s.Server.validate(s.Duration), s.validateLayers(),
		s.validatePolicies(), s.validateRow())
}

func (c *Clients) validate(end time.Duration) error {
	open := c.Rate != 0 || len(c.Profile) > 0
	calls := expected(c, end)
	switch {
	case c.Count < 0 || c.Count > maxClients:
		return wrong("Clients.Count", c.Count, fmt.Sprintf("1 to %d for a closed loop", maxClients))
	case c.Count == 0 && !open:
		return wrong("Clients.Count", c.Count, "1 or more, or a Rate")
	case c.Count > 0 && open:
		return wrong("Clients.Count", c.Count, "0, because Rate or Profile is set")
	// Written this way round, the comparison is false for NaN as well.
	case !(c.Rate >= 0):
		return wrong("Clients.Rate", c.Rate, "calls per second, more than 0")
	case c.Rate > 0 && len(c.Profile) > 0:
		return wrong("Clients.Rate", c.Rate, "0, because Profile is set")
	case c.Calls < 0:
		return wrong("Clients.Calls", c.Calls, "1 or more, or 0 for no end")
	case c.Count == 0 && (c.Calls > 0 || c.Burst || c.Think != Dist{}):
		return wrong("Clients.Count", 0, "1 or more: Calls, Burst and Think need a closed loop")
	case c.Processes < 0 || c.Processes > max(c.Count, maxWorkers):
		return wrong("Clients.Processes", c.Processes, fmt.Sprintf("1 to %d", maxWorkers))
	case c.Count > 0 && c.Processes > c.Count:
		return wrong("Clients.Processes", c.Processes, "at most Clients.Count")
	}
	if err := c.validateProfile(); err != nil {
		return err
	}
	if open && !(calls <= maxCalls) {
		return wrong("Clients.Rate", c.Rate, fmt.Sprintf("at most %d calls in a run", maxCalls))
	}
	return cmp.Or(within("Clients.Timeout", c.Timeout),
		within("Clients.Deadline", c.Deadline), c.Think.validate("Clients.Think"))
}

func (c *Clients) validateProfile() error {
	if len(c.Profile) > maxPoints {
		return wrong("Clients.Profile", len(c.Profile), fmt.Sprintf("at most %d points", maxPoints))
	}
	for i, r := range c.Profile {
		field := fmt.Sprintf("Clients.Profile[%d]", i)
		switch {
		case !(r.PerSecond >= 0 && r.PerSecond <= 1e9):
			return wrong(field+".PerSecond", r.PerSecond, "0 or more")
		case i > 0 && r.At < c.Profile[i-1].At:
			return wrong(field+".At", r.At, "no earlier than the point before")
		}
		if err := within(field+".At", r.At); err != nil {
			return err
		}
	}
	return nil
}

// validate finds fields that contradict each other, too: a queue without workers would be ignored,
// and the result would answer another question.
func (s *Server) validate(end time.Duration) error {
	switch {
	case s.Workers < 0 || s.Workers > maxWorkers:
		return wrong("Server.Workers", s.Workers, fmt.Sprintf("1 to %d, or 0 for no limit",
			maxWorkers))
	case s.Queue < -1:
		return wrong("Server.Queue", s.Queue, "1 or more, 0 for no limit, or -1 for none")
	case s.Queue != 0 && s.Workers == 0:
		return wrong("Server.Queue", s.Queue, "0: nothing waits if Workers has no limit")
	case !(s.Crowding >= 0 && s.Crowding <= 1e6):
		return wrong("Server.Crowding", s.Crowding, "a share of the service time, 0 or more")
	case len(s.Windows) > maxWindows:
		return wrong("Server.Windows", len(s.Windows), fmt.Sprintf("at most %d", maxWindows))
	}
	for i := range s.Windows {
		if err := s.Windows[i].validate(fmt.Sprintf("Server.Windows[%d].", i), end); err != nil {
			return err
		}
	}
	return cmp.Or(within("Server.RoundTrip", s.RoundTrip), s.Limit.validate(),
		s.Service.validate("Server.Service"), s.Row.validate("Server.Row"))
}

// validate also refuses what could never be let through: clients would wait for it for ever.
func (l *Limit) validate() error {
	const most = 1_000_000_000
	for _, n := range []struct {
		name  string
		value int
	}{
		{"Requests", l.Requests}, {"Tokens", l.Tokens}, {"Cost", l.Cost}, {"CostSpread", l.CostSpread},
	} {
		if n.value < 0 || n.value > most {
			return wrong("Server.Limit."+n.name, n.value, fmt.Sprintf("0 to %d", most))
		}
	}
	switch {
	case !l.on() && *l != Limit{}:
		return wrong("Server.Limit.Requests", 0, "1 or more, or Tokens: there is no limit otherwise")
	case l.Tokens == 0 && (l.Cost > 1 || l.CostSpread > 0):
		return wrong("Server.Limit.Tokens", 0, "1 or more, because Cost or CostSpread is set")
	case l.CostSpread > l.Cost:
		return wrong("Server.Limit.CostSpread", l.CostSpread, "at most Cost")
	case l.Tokens > 0 && l.Cost+l.CostSpread > l.Tokens:
		return wrong("Server.Limit.Tokens", l.Tokens,
			"Cost + CostSpread or more: an attempt that needs more would never be let through")
	case l.NoRetryAfter && l.Round > 0:
		return wrong("Server.Limit.Round", l.Round, "0, because NoRetryAfter is set")
	}
	return cmp.Or(within("Server.Limit.Per", l.Per), within("Server.Limit.Round", l.Round))
}

func (w *Window) validate(field string, end time.Duration) error {
	for _, share := range []struct {
		name  string
		value float64
	}{
		{"Refuse", w.Refuse}, {"Throttle", w.Throttle},
		{"BlackHole", w.BlackHole}, {"Fail", w.Fail},
	} {
		if !(share.value >= 0 && share.value <= 1) {
			return wrong(field+share.name, share.value, "a share of the attempts, 0 to 1")
		}
	}
	switch {
	case w.From < 0 || w.From >= end:
		return wrong(field+"From", w.From, "0 or more, and less than Duration")
	case w.To != 0 && w.To <= w.From:
		return wrong(field+"To", w.To, "later than From, or 0 for the end of the run")
	case !(w.Slow >= 0 && w.Slow <= 1e6):
		return wrong(field+"Slow", w.Slow, "how many times longer, above 0")
	case w.RetryAfter > 0 && w.Throttle == 0:
		return wrong(field+"Throttle", w.Throttle, "more than 0, because RetryAfter is set")
	case w.Refuse+w.Throttle+w.BlackHole+w.Fail+w.Slow == 0:
		return wrong(field+"Refuse", w.Refuse,
			"more than 0, or one of Throttle, BlackHole, Fail and Slow")
	}
	return within(field+"RetryAfter", w.RetryAfter)
}

func (d Dist) validate(field string) error {
	spreads := false
	switch d.Shape {
	case "", Exponential, Constant:
	case Uniform, Normal, LogNormal:
		spreads = true
	default:
		return wrong(field+".Shape", fmt.Sprintf("%q", d.Shape), fmt.Sprintf("%q, %q, %q, %q or %q",
			Exponential, Constant, Uniform, Normal, LogNormal))
	}
	switch {
	case d.Spread != 0 && !spreads:
		return wrong(field+".Spread", d.Spread, "0, or a Shape that has a spread")
	case d.Spread > 0 && d.Mean == 0 && d.Shape == LogNormal:
		return wrong(field+".Mean", d.Mean, "more than 0")
	case d.Shape == Uniform && d.Spread > d.Mean:
		return wrong(field+".Spread", d.Spread, "at most Mean")
	}
	return cmp.Or(within(field+".Mean", d.Mean), within(field+".Spread", d.Spread))
}

func (s *Scenario) validateLayers() error {
	if len(s.Layers) > maxLayers {
		return wrong("Layers", len(s.Layers), fmt.Sprintf("at most %d", maxLayers))
	}
	for i, l := range s.Layers {
		field := fmt.Sprintf("Layers[%d]", i)
		if l.Processes < 1 || l.Processes > maxWorkers {
			return wrong(field+".Processes", l.Processes, fmt.Sprintf("1 to %d, or 0 for 1",
				maxWorkers))
		}
		if err := simulable(field+".Policy", l.Policy); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) validatePolicies() error {
	for i, p := range s.Policies {
		if err := simulable(fmt.Sprintf("Policies[%d]", i), p); err != nil {
			return err
		}
	}
	return nil
}

// simulable refuses a policy that is not valid, or does what only a real call can do.
func simulable(field string, p *rebound.Policy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("sim: Scenario.%s: %w", field, err)
	}
	if p != nil && len(p.Gates) > 0 {
		return wrong(field+".Gates", len(p.Gates), "none: gates cannot be simulated")
	}
	return nil
}

// validateRow refuses what cannot go together with a row. The row's model counts messages alone: it
// has no workers, and no attempt in it can end early.
func (s *Scenario) validateRow() error {
	if s.Server.Row == (Dist{}) {
		return nil
	}
	t := s.Server
	if t.Workers != 0 || t.Service != (Dist{}) || t.RoundTrip != 0 || len(t.Windows) > 0 ||
		t.Limit != (Limit{}) {
		return wrong("Server.Row", s.Server.Row.Mean, "0, or a Server that has nothing else set")
	}
	if s.Clients.Timeout != 0 || s.Clients.Deadline != 0 {
		return wrong("Server.Row", s.Server.Row.Mean, "0, or Clients without Timeout and Deadline")
	}
	for i, p := range s.Policies {
		if p.AttemptTimeout != 0 {
			return wrong(fmt.Sprintf("Policies[%d].AttemptTimeout", i), p.AttemptTimeout,
				"0, because Server.Row is set")
		}
	}
	for i, l := range s.Layers {
		if l.Policy != nil && l.Policy.AttemptTimeout != 0 {
			return wrong(fmt.Sprintf("Layers[%d].Policy.AttemptTimeout", i),
				l.Policy.AttemptTimeout, "0, because Server.Row is set")
		}
	}
	return nil
}
