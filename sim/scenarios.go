package sim

import (
	"fmt"
	"strings"
	"time"
)

// Builtin returns the scenario of that name. It may be changed, and needs Policies before it is
// run. The error for an unknown name lists the known ones.
func Builtin(name string) (Scenario, error) {
	for _, s := range builtins() {
		if s.Name == name {
			return s, nil
		}
	}
	return Scenario{}, fmt.Errorf("sim: there is no scenario %q: want one of %s",
		name, strings.Join(Builtins(), ", "))
}

// Builtins returns the names that [Builtin] accepts.
func Builtins() []string {
	var names []string
	for _, s := range builtins() {
		names = append(names, s.Name)
	}
	return names
}

// builtins makes the scenarios anew each time, so that callers may change them.
func builtins() []Scenario {
	return []Scenario{
		blip(), outage(), brownout(), rateLimit(), metastable(), herd(), quota64(), replica5(), cascade(),
	}
}

// office is a service with room for four times its calls. The run takes two minutes. The window is
// the second half minute, and the second minute shows the recovery.
func office(name, about string, w Window) Scenario {
	w.From, w.To = 30*time.Second, 60*time.Second
	return Scenario{
		Name: name, About: about, Seed: 1, Duration: 2 * time.Minute,
		Clients: Clients{Rate: 100, Processes: 10, Timeout: time.Second},
		Server: Server{
			Workers: 20, Service: Dist{Mean: 50 * time.Millisecond}, Queue: 200,
			Windows: []Window{w},
		},
	}
}

// blip has independent failures, for which retries are made.
func blip() Scenario {
	return office("blip", "one attempt in a hundred fails for 30 s: retries hide it",
		Window{Fail: 0.01})
}

// outage shows the cost of retries that cannot help.
func outage() Scenario {
	return office("outage", "the server refuses everything for 30 s: retries are of no use",
		Window{Refuse: 1})
}

// brownout leaves room for 67 of the 100 calls per second, so the queue fills and callers time out.
func brownout() Scenario {
	return office("brownout", "the server is six times slower for 30 s, and fails every tenth attempt",
		Window{Slow: 6, Fail: 0.1})
}

// rateLimit shows whether the Retry-After delay is kept, and how the callers spread when they
// return.
func rateLimit() Scenario {
	return office("rate-limit", "the server asks everybody to come back in 5 s, for 30 s",
		Window{Throttle: 1, RetryAfter: 5 * time.Second})
}

// metastable is a server for 1000 attempts per second with an unbounded queue. Ten slow seconds
// fill the queue with work for callers that have given up, and retries keep it full.
func metastable() Scenario {
	return Scenario{
		Name: "metastable", Seed: 1, Duration: 3 * time.Minute,
		About:   "ten slow seconds fill a queue that retries keep full for ever",
		Clients: Clients{Rate: 700, Processes: 10, Timeout: time.Second},
		Server: Server{
			Workers: 10, Service: Dist{Mean: 10 * time.Millisecond},
			Windows: []Window{{From: 30 * time.Second, To: 40 * time.Second, Slow: 5}},
		},
	}
}

// herd is a server that is unavailable for 30 s and then answers everything at once. The bins are
// short, because the clients that return together do so within milliseconds.
func herd() Scenario {
	return Scenario{
		Name: "herd", Seed: 1, Duration: time.Minute, Bin: 10 * time.Millisecond,
		About:   "10,000 clients fail in the same instant: when do they come back?",
		Clients: Clients{Count: 10_000, Calls: 1, Burst: true},
		Server:  Server{Windows: []Window{{To: 30 * time.Second, Refuse: 1}}},
	}
}

// quota64 is a batch job with an API that allows less than the job could use, which is about 1,900
// requests per minute.
func quota64() Scenario {
	return Scenario{
		Name: "quota", Seed: 1, Duration: 5 * time.Minute,
		About: "64 workers with 20 calls each share a limit of 500 requests a minute",
		Clients: Clients{
			Count: 64, Calls: 20, Processes: 1, Think: Dist{Mean: 100 * time.Millisecond},
		},
		Server: Server{
			Service: Dist{Mean: 2 * time.Second}, RoundTrip: 50 * time.Millisecond,
			Limit: Limit{Requests: 500, Per: time.Minute, Round: time.Second},
		},
	}
}

// replica5 has a failure that a retry avoids by reaching another replica.
func replica5() Scenario {
	s := office("replica", "one of five replicas fails everything for 30 s",
		Window{Fail: 1, Replicas: 1})
	s.Server.Replicas, s.Server.Workers, s.Server.Queue = 5, 4, 40
	return s
}

// cascade has a service whose workers wait for the server. Normally five of them are busy; when the
// server is slow, all of them are.
func cascade() Scenario {
	return Scenario{
		Name: "cascade", Seed: 1, Duration: 2 * time.Minute,
		About:   "a slow server keeps the workers of the service before it busy for 30 s",
		Clients: Clients{Rate: 200, Processes: 10, Timeout: time.Second},
		Layers: []Layer{{
			Workers: 50, Queue: 100, Service: Dist{Mean: 5 * time.Millisecond}, Mute: true,
		}},
		Server: Server{
			Service: Dist{Mean: 20 * time.Millisecond},
			Windows: []Window{{From: 30 * time.Second, To: 60 * time.Second, Slow: 20}},
		},
	}
}
