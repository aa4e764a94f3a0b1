package sim

import (
	"cmp"
	"fmt"
	"time"
)

// validate also finds fields that contradict each other. A queue without workers, for example,
// would be ignored, and the result would answer a different question.
func (s *Server) validate(end time.Duration) error {
	switch {
	case s.Workers < 0 || s.Workers > maxWorkers:
		return wrong("Server.Workers", s.Workers, fmt.Sprintf("1 to %d, or 0 for no limit",
			maxWorkers))
	case s.Replicas > maxReplicas || s.Replicas < 1:
		return wrong("Server.Replicas", s.Replicas, fmt.Sprintf("1 to %d", maxReplicas))
	case s.Queue < -1:
		return wrong("Server.Queue", s.Queue, "1 or more, 0 for no limit, or -1 for none")
	case s.Queue != 0 && s.Workers == 0:
		return wrong("Server.Queue", s.Queue, "0, or a limit for Server.Workers: nothing waits "+
			"without one")
	case s.Queue == 0 && s.RetryAfter != 0:
		return wrong("Server.RetryAfter", s.RetryAfter,
			"0, or a limit for Server.Queue: without one it is never full")
	case !(s.Crowding >= 0 && s.Crowding <= 1e6):
		return wrong("Server.Crowding", s.Crowding, "a share of the service time, 0 or more")
	case len(s.Windows) > maxWindows:
		return long("Server.Windows", len(s.Windows), maxWindows)
	}
	// A Route may come from a file, where no compiler has checked it.
	switch s.Route {
	case "", Balanced, Sticky, Avoiding:
	default:
		return wrong("Server.Route", fmt.Sprintf("%q", s.Route),
			fmt.Sprintf("%q, %q or %q", Balanced, Sticky, Avoiding))
	}
	return s.validateWindows(end)
}

// validateRoute rejects a deposit before there is a budget for it: a call has no replica before its
// first attempt.
func (s *Scenario) validateRoute() error {
	if s.PayPerCall && s.Server.Route != "" && s.Server.Route != Balanced {
		return wrong("PayPerCall", true, fmt.Sprintf("false, or %q as Server.Route", Balanced))
	}
	return nil
}

// validateWindows validates the windows, and then the fields that only need a range.
func (s *Server) validateWindows(end time.Duration) error {
	// A window for more replicas than there are was meant for another server.
	for i := range s.Windows {
		if n := s.Windows[i].Replicas; n < 0 || n > s.Replicas {
			return wrong(fmt.Sprintf("Server.Windows[%d].Replicas", i), n,
				fmt.Sprintf("1 to %d, the Server.Replicas, or 0 for all", s.Replicas))
		}
		if err := s.Windows[i].validate(fmt.Sprintf("Server.Windows[%d]", i), end); err != nil {
			return err
		}
	}
	return cmp.Or(within("Server.RoundTrip", s.RoundTrip), s.Limit.validate(),
		within("Server.RetryAfter", s.RetryAfter),
		s.Service.validate("Server.Service"), s.Row.validate("Server.Row"))
}

// validate also rejects limits that could never admit an attempt: clients would wait for ever.
func (l *Limit) validate() error {
	// The bound keeps the times in meter within their type.
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
	// The other fields mean nothing without a limit.
	case !l.on() && *l != Limit{}:
		return wrong("Server.Limit.Requests", 0,
			"1 or more, or Server.Limit.Tokens: there is no limit otherwise")
	case l.Tokens == 0 && l.CostSpread > 0:
		return wrong("Server.Limit.Tokens", 0, "1 or more, because Server.Limit.CostSpread is set")
	case l.Tokens == 0 && l.Cost > 1:
		return wrong("Server.Limit.Tokens", 0, "1 or more, because Server.Limit.Cost is set")
	case l.CostSpread > l.Cost:
		return wrong("Server.Limit.CostSpread", l.CostSpread,
			fmt.Sprintf("at most Server.Limit.Cost, which is %d", l.Cost))
	// The most expensive attempt must fit into an empty window or a full bucket.
	case l.Tokens > 0 && l.Cost+l.CostSpread > l.Tokens:
		return wrong("Server.Limit.Tokens", l.Tokens,
			fmt.Sprintf("%d or more, which is Server.Limit.Cost and Server.Limit.CostSpread together: "+
				"an attempt that needs more would never be let through", l.Cost+l.CostSpread))
	case l.NoRetryAfter && l.Round > 0:
		return wrong("Server.Limit.Round", l.Round, "0, because Server.Limit.NoRetryAfter is set")
	}
	return cmp.Or(within("Server.Limit.Per", l.Per), within("Server.Limit.Round", l.Round))
}

// validate rejects a window without effect: its author has probably forgotten a field.
func (w *Window) validate(field string, end time.Duration) error {
	for _, share := range []struct {
		name  string
		value float64
	}{
		{"Refuse", w.Refuse}, {"Throttle", w.Throttle},
		{"Unavailable", w.Unavailable}, {"BlackHole", w.BlackHole}, {"Fail", w.Fail},
	} {
		// Written this way, the condition also rejects NaN.
		if !(share.value >= 0 && share.value <= 1) {
			return wrong(field+"."+share.name, share.value, "a share of the attempts, 0 to 1")
		}
	}
	switch {
	case w.From < 0 || w.From >= end:
		return wrong(field+".From", w.From,
			fmt.Sprintf("0 or more, and less than Duration, which is %v", end))
	case w.To != 0 && w.To <= w.From:
		return wrong(field+".To", w.To, fmt.Sprintf(
			"later than %s.From, which is %v, or 0 for the end of the run", field, w.From))
	case !(w.Slow >= 0 && w.Slow <= 1e6):
		return wrong(field+".Slow", w.Slow,
			"how many times longer serving takes: up to 1000000, or 0 for 1")
	// There is no time left in which the trouble could fade.
	case w.Ramp > 0 && (w.To == 0 || w.To >= end):
		return wrong(field+".Ramp", w.Ramp, "0, because the window lasts to the end of the run")
	case w.RetryAfter > 0 && w.Throttle+w.Unavailable == 0:
		return wrong(field+".RetryAfter", w.RetryAfter,
			fmt.Sprintf("0, or %s.Throttle or %[1]s.Unavailable above 0", field))
	case w.Refuse+w.Throttle+w.Unavailable+w.BlackHole+w.Fail+w.Slow == 0:
		return wrong(field, "without effect",
			"Refuse, Throttle, Unavailable, BlackHole, Fail or Slow above 0")
	}
	return cmp.Or(within(field+".RetryAfter", w.RetryAfter), within(field+".Ramp", w.Ramp))
}

// validateRow rejects what a row excludes. The model of the row only counts messages: it has no
// workers, and no attempt in it can end early.
func (s *Scenario) validateRow() error {
	if s.Server.Row == (Dist{}) {
		return nil
	}
	t := &s.Server
	for _, other := range []struct {
		field string
		set   bool
	}{
		{"Server.Workers", t.Workers != 0}, {"Server.Service", t.Service != Dist{}},
		{"Server.RoundTrip", t.RoundTrip != 0}, {"Server.Windows", len(t.Windows) > 0},
		{"Server.Limit", t.Limit != Limit{}}, {"Server.Replicas", t.Replicas > 1},
		{"Clients.Poison", s.Clients.Poison > 0}, {"Clients.Timeout", s.Clients.Timeout != 0},
		{"Clients.Deadline", s.Clients.Deadline != 0}, {"Hedge", s.Hedge != nil},
	} {
		if other.set {
			return wrong("Server.Row", t.Row.Mean, "0, because "+other.field+" is set")
		}
	}
	// Each policy is checked, because the scenario is played with each of them.
	for i, p := range s.Policies {
		if p.AttemptTimeout != 0 {
			return wrong(fmt.Sprintf("Policies[%d].AttemptTimeout", i), p.AttemptTimeout,
				"0, because Server.Row is set")
		}
	}
	for i, l := range s.Layers {
		if l.Workers != 0 {
			return wrong(fmt.Sprintf("Layers[%d].Workers", i), l.Workers, "0, because Server.Row is set")
		}
		if l.Service != (Dist{}) {
			return wrong(fmt.Sprintf("Layers[%d].Service", i), l.Service.Mean,
				"0, because Server.Row is set")
		}
		if l.Policy != nil && l.Policy.AttemptTimeout != 0 {
			return wrong(fmt.Sprintf("Layers[%d].Policy.AttemptTimeout", i),
				l.Policy.AttemptTimeout, "0, because Server.Row is set")
		}
	}
	return nil
}

// validateHedge rejects what a hedge excludes. When an attempt arrives, a worker decides at once
// whether its caller will still be there, but a hedge at another replica may be answered earlier.
func (s *Scenario) validateHedge() error {
	h := s.Hedge
	if h == nil {
		return nil
	}
	if err := h.Validate(); err != nil {
		return fmt.Errorf("sim: Scenario.Hedge: %w", err)
	}
	switch {
	// A hedge needs attempts at the server, which only the lowest layer makes.
	case len(s.Layers) > 0:
		return wrong("Hedge", "set",
			"none, because the scenario has Layers: the simulator does not do both")
	case s.Server.DropExpired && s.Server.Replicas > 1:
		return wrong("Server.DropExpired", true,
			"false, or 1 as Server.Replicas, because Hedge is set")
	// Each process has its own histogram, which is larger than a client.
	case s.Clients.Processes > maxWorkers:
		return wrong("Clients.Processes", s.Clients.Processes,
			fmt.Sprintf("at most %d, because Hedge is set", maxWorkers))
	}
	return nil
}
