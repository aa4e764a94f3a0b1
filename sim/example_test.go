package sim_test

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/sim"
)

// What do three attempts cost a server that is down for half a minute, with and without a
// budget?
func ExampleRun() {
	result, err := sim.Run(sim.Scenario{
		Duration: 2 * time.Minute,
		Clients:  sim.Clients{Rate: 100, Timeout: time.Second},
		Server: sim.Server{
			Workers: 20, Service: sim.Dist{Mean: 50 * time.Millisecond}, Queue: 200,
			Windows: []sim.Window{{From: 30 * time.Second, To: time.Minute, Refuse: 1}},
		},
		Policies: []*rebound.Policy{
			{Name: "no budget", Budget: budget.Unlimited},
			{Name: "default"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range result.Policies {
		var outage sim.Counts
		for _, b := range r.Bins[30:60] {
			outage.Attempts += b.Attempts
			outage.Calls += b.Calls
		}
		fmt.Printf("%-9s  %.2f attempts per call in the outage, back %v after it\n", r.Policy,
			float64(outage.Attempts)/float64(outage.Calls), r.Recovery)
	}
	// Output:
	// no budget  3.00 attempts per call in the outage, back 0s after it
	// default    1.00 attempts per call in the outage, back 0s after it
}

// After ten slow seconds, the server never recovers: retries keep its queue full of work for
// callers that have given up. With the default budget it recovers.
func ExampleBuiltin() {
	s, err := sim.Builtin("metastable")
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Policies = []*rebound.Policy{
		{Name: "4 attempts", Attempts: 4, Budget: budget.Unlimited},
		{Name: "4 attempts, default budget", Attempts: 4},
	}
	result, err := sim.Run(s)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range result.Policies {
		if r.Recovered {
			fmt.Printf("%s: back after %v\n", r.Policy, r.Recovery)
		} else {
			fmt.Printf("%s: never back\n", r.Policy)
		}
	}
	// Output:
	// 4 attempts: never back
	// 4 attempts, default budget: back after 16s
}

func ExampleBuiltins() {
	for _, name := range sim.Builtins() {
		s, _ := sim.Builtin(name)
		fmt.Printf("%-10s  %s\n", name, s.About)
	}
	// Output:
	// blip        one attempt in a hundred fails for 30 s: retries hide it
	// outage      the server refuses everything for 30 s: retries are of no use
	// brownout    the server is six times slower for 30 s, and fails every tenth attempt
	// rate-limit  the server asks everybody to come back in 5 s, for 30 s
	// metastable  ten slow seconds fill a queue that retries keep full for ever
	// herd        10,000 clients fail in the same instant: when do they come back?
	// quota       64 workers with 20 calls each share a limit of 500 requests a minute
	// replica     one of five replicas fails everything for 30 s
	// cascade     a slow server keeps the workers of the service before it busy for 30 s
}

// A herd comes back together unless it is spread by jitter, or by a random delay before the first
// call.
func ExampleScenario_herd() {
	herd, _ := sim.Builtin("herd")
	herd.Policies = []*rebound.Policy{{
		Attempts: rebound.Unlimited,
		Backoff:  backoff.Exponential{Max: 10 * time.Second},
	}}
	inStep := herd
	inStep.NoJitter = true
	spread := inStep
	spread.Clients.Burst = false
	spread.Clients.Think = sim.Dist{
		Mean: 5 * time.Second, Spread: 5 * time.Second, Shape: sim.Uniform,
	}
	for _, c := range []struct {
		name string
		s    sim.Scenario
	}{{"in step", inStep}, {"with jitter", herd}, {"first calls spread over 10 s", spread}} {
		r, err := sim.Run(c.s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %.0f calls a second at the peak\n", c.name, r.Policies[0].Peak)
	}
	// Output:
	// in step: 1000000 calls a second at the peak
	// with jitter: 3300 calls a second at the peak
	// first calls spread over 10 s: 2300 calls a second at the peak
}

// The latencies of one M/M/1 queue.
func ExampleHistogram_Quantile() {
	r, _ := sim.Run(sim.Scenario{
		Duration: 10 * time.Minute,
		Clients:  sim.Clients{Rate: 700},
		Server:   sim.Server{Workers: 1, Service: sim.Dist{Mean: time.Millisecond}},
	})
	h := r.Policies[0].Latency
	fmt.Printf("median %v, 99 %% within %v\n",
		h.Quantile(0.5).Round(time.Millisecond/10), h.Quantile(0.99).Round(time.Millisecond))
	// Output:
	// median 2.4ms, 99 % within 15ms
}
