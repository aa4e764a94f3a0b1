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

	// Within these bounds a run fits into a few gigabytes, and its times and counts fit into their
	// types.
	maxDuration = 30 * 24 * time.Hour
	maxBins     = 100_000
	maxClients  = 10_000_000
	maxWorkers  = 1_000_000
	maxReplicas = 1000
	maxCalls    = 100_000_000
	maxLayers   = 10
	maxWindows  = 1000
	maxPoints   = 10_000
	maxQueue    = 20_000_000
	maxGates    = 100
)

// wrong is an error about a field. The text about what is wanted names other fields by their path
// from Scenario, or by their name if they are beside the field. A caller that reads scenarios from
// files replaces these names by those of the file, so no other word may look like one.
func wrong(field string, got any, want string) error {
	return fmt.Errorf("sim: Scenario.%s is %v: want %s", field, got, want)
}

// long is the error of a list that is too long.
func long(field string, got, most int) error {
	return wrong(field, fmt.Sprintf("%d long", got), fmt.Sprintf("at most %d", most))
}

// within returns an error for a time that is negative or too long.
func within(field string, d time.Duration) error {
	if d < 0 || d > maxDuration {
		return wrong(field, d, fmt.Sprintf("0 to %v", maxDuration))
	}
	return nil
}

// validate returns an error that names the first invalid field and its valid values. The defaults
// are in place by then, so a zero is invalid too where no default exists.
func (s *Scenario) validate() error {
	switch {
	case s.Duration < 0 || s.Duration > maxDuration:
		return wrong("Duration", s.Duration, fmt.Sprintf("up to %v, or 0 for %v",
			maxDuration, defaultDuration))
	case s.Bin < 0 || s.Bin > s.Duration:
		return wrong("Bin", s.Bin, fmt.Sprintf("at most Duration, which is %v, or 0 for %v",
			s.Duration, defaultBin))
	case s.Duration/s.Bin >= maxBins:
		return wrong("Bin", s.Bin, fmt.Sprintf("%v or more, a hundred thousandth of Duration",
			s.Duration/maxBins+1))
	case s.MaxAttempts < 0:
		return wrong("MaxAttempts", s.MaxAttempts, fmt.Sprintf("1 or more, or 0 for %d",
			defaultMaxAttempts))
	}
	// The order decides which error is reported: first the fields by themselves, then combinations.
	return cmp.Or(
		s.Clients.validate(s.Duration), s.Server.validate(s.Duration), s.validateLayers(),
		s.validatePolicies(), s.validateRow(), s.validateRoute(), s.validateHedge())
}

// validate also rejects fields that belong to the other kind of loop.
func (c *Clients) validate(end time.Duration) error {
	open := c.Rate != 0 || len(c.Profile) > 0
	calls := expected(c, end)
	switch {
	case c.Count < 0 || c.Count > maxClients:
		return wrong("Clients.Count", c.Count, fmt.Sprintf("1 to %d for a closed loop", maxClients))
	case c.Count == 0 && !open:
		return wrong("Clients.Count", c.Count, "1 or more, or Clients.Rate")
	case c.Count > 0 && len(c.Profile) > 0:
		return wrong("Clients.Count", c.Count, "0, because Clients.Profile is set")
	case c.Count > 0 && open:
		return wrong("Clients.Count", c.Count, "0, because Clients.Rate is set")
	// Written this way round, the comparison is false for NaN as well.
	case !(c.Rate >= 0):
		return wrong("Clients.Rate", c.Rate, "calls per second, more than 0")
	case c.Rate > 0 && len(c.Profile) > 0:
		return wrong("Clients.Rate", c.Rate, "0, because Clients.Profile is set")
	case c.Calls < 0:
		return wrong("Clients.Calls", c.Calls, "1 or more, or 0 for no end")
	// Such a field would be ignored, and the result would answer a different question.
	case c.Count == 0 && c.Calls > 0:
		return wrong("Clients.Calls", c.Calls, "0, or a Clients.Count: "+openLoop)
	case c.Count == 0 && c.Burst:
		return wrong("Clients.Burst", c.Burst, "false, or a Clients.Count: "+openLoop)
	case c.Count == 0 && c.Think != Dist{}:
		return wrong("Clients.Think", c.Think.Mean, "0, or a Clients.Count: "+openLoop)
	case !(c.Poison >= 0 && c.Poison <= 1):
		return wrong("Clients.Poison", c.Poison, "a share of the calls, 0 to 1")
	// More processes than clients would leave budgets without calls.
	case c.Processes < 0 || c.Processes > max(c.Count, maxWorkers):
		return wrong("Clients.Processes", c.Processes, fmt.Sprintf("1 to %d", maxWorkers))
	case c.Count > 0 && c.Processes > c.Count:
		return wrong("Clients.Processes", c.Processes,
			fmt.Sprintf("at most Clients.Count, which is %d", c.Count))
	}
	if err := c.validateProfile(); err != nil {
		return err
	}
	if open && !(calls <= maxCalls) {
		// A profile has many rates, so the error names the number of calls.
		var got any = c.Rate
		if len(c.Profile) > 0 {
			got = fmt.Sprintf("for %.3g calls", calls)
		}
		return wrong(c.loop(), got, fmt.Sprintf("at most %d calls in a run", maxCalls))
	}
	return cmp.Or(within("Clients.Timeout", c.Timeout),
		within("Clients.Deadline", c.Deadline), c.Think.validate("Clients.Think"))
}

// openLoop is the reason why fields of a closed loop are invalid in an open one.
const openLoop = "in an open loop, clients make one call"

// loop is the field that decides how calls begin, for errors about their number.
func (c *Clients) loop() string {
	switch {
	case c.Count > 0:
		return "Clients.Count"
	case len(c.Profile) > 0:
		return "Clients.Profile"
	}
	return "Clients.Rate"
}

// validateProfile requires points in the order of time. Two points at the same time are a step.
func (c *Clients) validateProfile() error {
	// The length comes first, so that a mistake in a generated list gives one error.
	if len(c.Profile) > maxPoints {
		return long("Clients.Profile", len(c.Profile), maxPoints)
	}
	for i, r := range c.Profile {
		field := fmt.Sprintf("Clients.Profile[%d]", i)
		switch {
		case !(r.PerSecond >= 0 && r.PerSecond <= 1e9):
			return wrong(field+".PerSecond", r.PerSecond, "0 to 1000000000")
		case i > 0 && r.At < c.Profile[i-1].At:
			return wrong(field+".At", r.At, fmt.Sprintf("no earlier than the point before, at %v",
				c.Profile[i-1].At))
		}
		if err := within(field+".At", r.At); err != nil {
			return err
		}
	}
	return nil
}

// validate rejects a spread that the shape would ignore, and parameters with which no such
// distribution exists.
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
		return wrong(field+".Spread", d.Spread, fmt.Sprintf("0, or %q, %q or %q as %s.Shape",
			Uniform, Normal, LogNormal, field))
	// The logarithm of a mean of 0 does not exist.
	case d.Spread > 0 && d.Mean == 0 && d.Shape == LogNormal:
		return wrong(field+".Mean", d.Mean, "more than 0, because "+field+".Spread is set")
	// Otherwise the distribution would include negative times.
	case d.Shape == Uniform && d.Spread > d.Mean:
		return wrong(field+".Spread", d.Spread,
			fmt.Sprintf("at most %s.Mean, which is %v", field, d.Mean))
	}
	return cmp.Or(within(field+".Mean", d.Mean), within(field+".Spread", d.Spread))
}

// validateLayers validates each layer and its policy. Their number is bounded, since each
// multiplies the attempts.
func (s *Scenario) validateLayers() error {
	if len(s.Layers) > maxLayers {
		return long("Layers", len(s.Layers), maxLayers)
	}
	for i, l := range s.Layers {
		field := fmt.Sprintf("Layers[%d]", i)
		if l.Processes < 1 || l.Processes > maxWorkers {
			return wrong(field+".Processes", l.Processes, fmt.Sprintf("1 to %d, or 0 for 1",
				maxWorkers))
		}
		if err := cmp.Or(l.validate(field), simulable(field+".Policy", l.Policy)); err != nil {
			return err
		}
	}
	return nil
}

// validate rejects a queue without workers: nothing would ever wait in it.
func (l *Layer) validate(field string) error {
	switch {
	case l.Workers < 0 || l.Workers > maxWorkers:
		return wrong(field+".Workers", l.Workers, fmt.Sprintf("1 to %d, or 0 for no limit",
			maxWorkers))
	case l.Queue < -1:
		return wrong(field+".Queue", l.Queue, "1 or more, 0 for no limit, or -1 for none")
	case l.Queue != 0 && l.Workers == 0:
		return wrong(field+".Queue", l.Queue,
			"0, or a limit for "+field+".Workers: nothing waits without one")
	}
	return l.Service.validate(field + ".Service")
}

// validatePolicies validates the policies and finds those that cannot run in virtual time.
func (s *Scenario) validatePolicies() error {
	for i, p := range s.Policies {
		if err := simulable(fmt.Sprintf("Policies[%d]", i), p); err != nil {
			return err
		}
	}
	return nil
}

// simulable returns an error for a policy that is invalid, or that needs a real call.
func simulable(field string, p *rebound.Policy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("sim: Scenario.%s: %w", field, err)
	}
	if p == nil {
		return nil
	}
	if len(p.Gates) > maxGates {
		return long(field+".Gates", len(p.Gates), maxGates)
	}
	for i, g := range p.Gates {
		if bareLimit(g) == nil {
			return wrong(fmt.Sprintf("%s.Gates[%d]", field, i), fmt.Sprintf("a %T", g),
				"a limit of package limit")
		}
	}
	return nil
}
