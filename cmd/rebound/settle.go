package main

import "github.com/rebound-go/rebound/sim"

// settle lets go of what a scenario came with where it contradicts what was set over it: who sets
// a number of clients wants no rate, and the other way round. set reports whether a field was set.
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
		// What is set all the same is an error of the simulator.
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
