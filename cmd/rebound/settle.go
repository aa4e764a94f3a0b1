package main

import "github.com/rebound-go/rebound/sim"

// settle removes values of a scenario that contradict values set later. For example, a number of
// clients replaces a rate, and a rate replaces a number. set reports whether a field was set later.
func settle(c sim.Clients, set func(path string) bool) sim.Clients {
	count, rate, profile := set("clients.count"), set("clients.rate"), set("clients.profile")
	if count && !rate && !profile {
		c.Rate, c.Profile = 0, nil
	}
	if count && !set("clients.processes") {
		c.Processes = max(min(c.Processes, c.Count), 0)
	}
	if (rate || profile) && !count {
		c.Count = 0
		// If one of these was set later, too, the simulator returns an error.
		if !set("clients.calls") {
			c.Calls = 0
		}
		if !set("clients.burst") {
			c.Burst = false
		}
		if !set("clients.think") {
			c.Think = sim.Dist{}
		}
	}
	if rate && !profile {
		c.Profile = nil
	}
	if profile && !rate {
		c.Rate = 0
	}
	return c
}
