package sim

import (
	"context"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
)

type nopGate struct{}

func (nopGate) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, nil }
func (nopGate) Leave(gate.Pass, gate.Outcome)            {}

const day = 24 * time.Hour

func window(w Window) func(*Scenario) {
	return func(s *Scenario) { s.Server.Windows = []Window{w} }
}

func layers(all ...Layer) func(*Scenario) { return func(s *Scenario) { s.Layers = all } }

func hedged(h *hedge.Hedge) func(*Scenario) { return func(s *Scenario) { s.Hedge = h } }

func capped(l Limit) func(*Scenario) { return func(s *Scenario) { s.Server.Limit = l } }

func policy(p *rebound.Policy) func(*Scenario) {
	return func(s *Scenario) { s.Policies = []*rebound.Policy{nil, p} }
}

// invalid are changes that make a scenario invalid, and the beginning of the error, which names the
// field.
var invalid = []struct {
	want   string
	change func(*Scenario)
}{
	{"Duration is -1s: want", func(s *Scenario) { s.Duration = -time.Second }},
	{"Duration is 744h0m0s: want up to 720h0m0s", func(s *Scenario) { s.Duration = 31 * day }},
	{"Bin is -1s: want", func(s *Scenario) { s.Bin = -time.Second }},
	{"Bin is 2m0s: want at most Duration", func(s *Scenario) { s.Bin = 2 * time.Minute }},
	{"Bin is 1µs: want", func(s *Scenario) { s.Bin = time.Microsecond }},
	{"MaxAttempts is -1: want", func(s *Scenario) { s.MaxAttempts = -1 }},
	{"Clients.Count is 0: want 1 or more, or " +
		"Clients.Rate", func(s *Scenario) { s.Clients = Clients{} }},
	{"Clients.Count is -1: want", func(s *Scenario) { s.Clients.Count = -1 }},
	{"Clients.Count is 99999999: want", func(s *Scenario) { s.Clients.Count = 99999999 }},
	{"Clients.Count is 10: want 0, because", func(s *Scenario) { s.Clients.Rate = 1 }},
	{"Clients.Calls is 1: want 0, or a Clients.Count", func(s *Scenario) {
		s.Clients = Clients{Rate: 1, Calls: 1}
	}},
	{"Clients.Burst is true: want false, or a Clients.Count", func(s *Scenario) {
		s.Clients = Clients{Rate: 1, Burst: true}
	}},
	{"Clients.Think is 1s: want 0, or a Clients.Count", func(s *Scenario) {
		s.Clients.Count, s.Clients.Rate = 0, 1
	}},
	{"Clients.Count is 10: want 0, because Clients.Profile is set", func(s *Scenario) {
		s.Clients.Profile = []Rate{{0, 1}}
	}},
	{"Clients.Profile is for 6e+10 calls: want at most 100000000 calls in a run", func(s *Scenario) {
		s.Clients = Clients{Profile: []Rate{{0, 1e9}}}
	}},
	{"Clients.Calls is -1: want", func(s *Scenario) { s.Clients.Calls = -1 }},
	{"Clients.Processes is -1: want", func(s *Scenario) { s.Clients.Processes = -1 }},
	{"Clients.Processes is 11: want at most", func(s *Scenario) { s.Clients.Processes = 11 }},
	{"Clients.Timeout is -1ns: want", func(s *Scenario) { s.Clients.Timeout = -1 }},
	{"Clients.Deadline is -1ns: want", func(s *Scenario) { s.Clients.Deadline = -1 }},
	{"Clients.Think.Mean is -1ns: want", func(s *Scenario) { s.Clients.Think.Mean = -1 }},
	{"Clients.Rate is NaN: want", func(s *Scenario) { s.Clients = Clients{Rate: math.NaN()} }},
	{"Clients.Rate is -3: want", func(s *Scenario) { s.Clients = Clients{Rate: -3} }},
	{"Clients.Rate is 1e+12: want at most", func(s *Scenario) { s.Clients = Clients{Rate: 1e12} }},
	{"Clients.Rate is 1: want 0, because", func(s *Scenario) {
		s.Clients = Clients{Rate: 1, Profile: []Rate{{0, 1}}}
	}},
	{"Clients.Profile[0].PerSecond is -1: want", func(s *Scenario) {
		s.Clients = Clients{Profile: []Rate{{0, -1}}}
	}},
	{"Clients.Profile[0].At is -1ns: want", func(s *Scenario) {
		s.Clients = Clients{Profile: []Rate{{-1, 1}}}
	}},
	{"Clients.Profile[1].At is 1ns: want no earlier", func(s *Scenario) {
		s.Clients = Clients{Profile: []Rate{{2, 1}, {1, 1}}}
	}},
	{"Clients.Profile is 10001 long: want", func(s *Scenario) {
		s.Clients = Clients{Profile: make([]Rate, 10001)}
	}},
	{"Layers is 11 long: want", func(s *Scenario) { s.Layers = make([]Layer, 11) }},
	{"Layers[0].Processes is -1: want", func(s *Scenario) { s.Layers = []Layer{{Processes: -1}} }},
	{"Layers[0].Workers is -1: want", layers(Layer{Workers: -1})},
	{"Layers[0].Queue is -2: want", layers(Layer{Workers: 1, Queue: -2})},
	{"Layers[0].Queue is 5: want 0", layers(Layer{Queue: 5})},
	{"Layers[0].Service.Mean is -1ns: want", layers(Layer{Service: Dist{Mean: -1}})},
	{"Layers[0].Workers is 1: want 0, because Server.Row", func(s *Scenario) {
		s.Server.Row.Mean, s.Layers = time.Second, []Layer{{Workers: 1}}
	}},
	{"Hedge: hedge: After is -1ns: want", hedged(&hedge.Hedge{After: -1})},
	{"Hedge: hedge: Percentile is 1: want", hedged(&hedge.Hedge{Percentile: 1})},
	{"Hedge is set: want none, because the scenario has Layers", func(s *Scenario) {
		s.Hedge, s.Layers = &hedge.Hedge{}, make([]Layer, 1)
	}},
	{"Server.Row is 1s: want 0, because Hedge is set", func(s *Scenario) {
		s.Hedge, s.Server.Row.Mean = &hedge.Hedge{}, time.Second
	}},
	{"Server.DropExpired is true: want false, or 1 as Server.Replicas", func(s *Scenario) {
		s.Hedge, s.Server.DropExpired, s.Server.Replicas = &hedge.Hedge{}, true, 2
	}},
	{"Clients.Processes is 1000001: want at most 1000000, because Hedge is set", func(s *Scenario) {
		s.Hedge, s.Clients = &hedge.Hedge{}, Clients{Count: 2_000_000, Processes: 1_000_001}
	}},
	{"Layers[0].Policy: rebound: Policy.Attempts is -2: want", func(s *Scenario) {
		s.Layers = []Layer{{Policy: &rebound.Policy{Attempts: -2}}}
	}},
	{"Server.Workers is -1: want", func(s *Scenario) { s.Server.Workers = -1 }},
	{"Server.Queue is -2: want", func(s *Scenario) { s.Server.Queue = -2 }},
	{"Server.Queue is 5: want 0", func(s *Scenario) { s.Server.Queue = 5 }},
	{"Server.Crowding is NaN: want", func(s *Scenario) { s.Server.Crowding = math.NaN() }},
	{"Server.RoundTrip is -1ns: want", func(s *Scenario) { s.Server.RoundTrip = -1 }},
	{`Server.Service.Shape is "gamma": want "exponential"`, func(s *Scenario) {
		s.Server.Service.Shape = "gamma"
	}},
	{"Server.Service.Spread is 1s: want 0", func(s *Scenario) {
		s.Server.Service.Spread = time.Second
	}},
	{"Server.Service.Spread is 1s: want at most Server.Service.Mean, which is 0s", func(s *Scenario) {
		s.Server.Service = Dist{Spread: time.Second, Shape: Uniform}
	}},
	{"Server.Service.Mean is 0s: want more", func(s *Scenario) {
		s.Server.Service = Dist{Spread: time.Second, Shape: LogNormal}
	}},
	{"Server.Windows is 1001 long: " +
		"want", func(s *Scenario) { s.Server.Windows = make([]Window, 1001) }},
	{"Server.Windows[0] is without effect: want Refuse, Throttle, Unavailable", window(Window{})},
	{"Server.Windows[0].Refuse is 1.5: want", window(Window{Refuse: 1.5})},
	{"Server.Windows[0].Throttle is -1: want", window(Window{Throttle: -1})},
	{"Server.Windows[0].BlackHole is 2: want", window(Window{BlackHole: 2})},
	{"Server.Windows[0].Fail is NaN: want", window(Window{Fail: math.NaN()})},
	{"Server.Windows[0].Slow is -1: want", window(Window{Slow: -1})},
	{"Server.Windows[0].RetryAfter is -1ns: want", window(Window{Throttle: 1, RetryAfter: -1})},
	{"Server.Windows[0].RetryAfter is 1ns: want 0, or", window(Window{Refuse: 1, RetryAfter: 1})},
	{"Server.Windows[0].From is 1m0s: want", window(Window{From: time.Minute, Fail: 1})},
	{"Server.Windows[0].To is 1s: want", window(Window{From: 2e9, To: 1e9, Fail: 1})},
	{"Clients.Poison is NaN: want", func(s *Scenario) { s.Clients.Poison = math.NaN() }},
	{"Server.Replicas is -1: want 1 to 1000", func(s *Scenario) { s.Server.Replicas = -1 }},
	{"Server.Replicas is 1001: want", func(s *Scenario) { s.Server.Replicas = 1001 }},
	{`Server.Route is "random": want "balanced", "sticky" or`, func(s *Scenario) {
		s.Server.Route = "random"
	}},
	{"PayPerCall is true: want false", func(s *Scenario) {
		s.Server.Route, s.PayPerCall = Sticky, true
	}},
	{"Server.RetryAfter is 1s: want 0", func(s *Scenario) { s.Server.RetryAfter = 1e9 }},
	{"Server.RetryAfter is -1ns: want", func(s *Scenario) {
		s.Server.Workers, s.Server.Queue, s.Server.RetryAfter = 1, 1, -1
	}},
	{"Server.Windows[0].Replicas is 2: want 1 to 1", window(Window{Fail: 1, Replicas: 2})},
	{"Server.Windows[0].Unavailable is 2: want", window(Window{Unavailable: 2})},
	{"Server.Windows[0].Ramp is 1ns: want 0", window(Window{Fail: 1, Ramp: 1})},
	{"Server.Windows[0].Ramp is -1ns: want", window(Window{Fail: 1, To: 1e9, Ramp: -1})},
	{"Server.Limit.Requests is -1: want", capped(Limit{Requests: -1})},
	{"Server.Limit.Tokens is 2000000000: want", capped(Limit{Tokens: 2e9})},
	{"Server.Limit.Requests is 0: want 1 or more", capped(Limit{Bucket: true})},
	{"Server.Limit.Tokens is 0: want 1 or more", capped(Limit{Requests: 5, Cost: 9})},
	{"Server.Limit.Tokens is 9: want 10 or more", capped(Limit{Tokens: 9, Cost: 10})},
	{"Server.Limit.Tokens is 11: want 12 or more", capped(Limit{Tokens: 11, Cost: 10, CostSpread: 2})},
	{"Server.Limit.CostSpread is 4: want", capped(Limit{Tokens: 9, Cost: 3, CostSpread: 4})},
	{"Server.Limit.Per is -1ns: want", capped(Limit{Requests: 1, Per: -1})},
	{"Server.Limit.Round is -1ns: want", capped(Limit{Requests: 1, Round: -1})},
	{"Server.Limit.Round is 1ns: want 0", capped(Limit{Requests: 1, Round: 1, NoRetryAfter: true})},
	{"Server.Row is 1s: want 0, because Server.Workers", func(s *Scenario) {
		s.Server.Row.Mean, s.Server.Workers = time.Second, 1
	}},
	{"Server.Row is 1s: want 0, because Clients.Timeout", func(s *Scenario) {
		s.Server.Row.Mean, s.Clients.Timeout = time.Second, 1
	}},
	{"Policies[0].AttemptTimeout is 1s: want 0", func(s *Scenario) {
		s.Server.Row.Mean = time.Second
		s.Policies = []*rebound.Policy{{AttemptTimeout: time.Second}}
	}},
	{"Layers[0].Service is 1s: want 0, because Server.Row is set", func(s *Scenario) {
		s.Server.Row.Mean, s.Layers = time.Second, []Layer{{Service: Dist{Mean: time.Second}}}
	}},
	{"Layers[0].Policy.AttemptTimeout is 1s: want 0", func(s *Scenario) {
		s.Server.Row.Mean = time.Second
		s.Layers = []Layer{{Policy: &rebound.Policy{AttemptTimeout: time.Second}}}
	}},
	{"Policies[1]: rebound: Policy.MaxElapsed is -1ns: want",
		policy(&rebound.Policy{MaxElapsed: -1})},
	{"Policies[1]: rebound: Policy.Backoff: backoff: Exponential.Factor is 0.5: want",
		policy(&rebound.Policy{Backoff: backoff.Exponential{Factor: 0.5}})},
	{"Policies[1]: rebound: Policy.Gates[0]: limit.Adaptive: Min is 9: want",
		policy(&rebound.Policy{Gates: []gate.Gate{&limit.Adaptive{Min: 9, Max: 3}}})},
	{"Policies[1].Gates[0] is a sim.nopGate: want a limit of package limit",
		policy(&rebound.Policy{Gates: []gate.Gate{nopGate{}}})},
}

func TestValidation(t *testing.T) {
	for _, c := range invalid {
		s := Scenario{Clients: Clients{Count: 10, Think: Dist{Mean: time.Second}}}
		c.change(&s)
		_, err := Run(s)
		if want := "sim: Scenario." + c.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got error %v\nwant one that begins %s", err, want)
		}
		namesFields(t, err)
	}
}

// namesFields checks that all names of Go in an error are those of fields, by their path from
// Scenario on or by the last name. Other names mean nothing in a scenario from a file.
func namesFields(t *testing.T, err error) {
	t.Helper()
	_, text, _ := strings.Cut(err.Error(), ": want ")
	if strings.Contains(err.Error(), ": rebound: ") {
		return // the policy's own error, about fields of its own
	}
	for _, name := range regexp.MustCompile(`\b[A-Z][\w.\[\]]*\b`).FindAllString(text, -1) {
		at, ok := reflect.TypeFor[Scenario](), true
		for part := range strings.SplitSeq(strings.ReplaceAll(name, "[0]", ""), ".") {
			for at.Kind() == reflect.Slice || at.Kind() == reflect.Pointer {
				at = at.Elem()
			}
			var f reflect.StructField
			if f, ok = at.FieldByName(part); !ok {
				_, ok = reflect.TypeFor[Window]().FieldByName(name)
				break
			}
			at = f.Type
		}
		if !ok {
			t.Errorf("%v names %s, which is not a field", err, name)
		}
	}
}

// TestAbsurdScenarios are valid, and must end quickly.
func TestAbsurdScenarios(t *testing.T) {
	for name, s := range map[string]Scenario{
		"a nanosecond":  {Duration: 1, Clients: Clients{Count: 10}, Server: Server{RoundTrip: 1}},
		"no calls":      {Clients: Clients{Profile: []Rate{{time.Hour, 0}}}},
		"a month":       {Duration: maxDuration, Bin: time.Hour, Clients: Clients{Rate: 1e-3}},
		"a short burst": {Clients: Clients{Profile: []Rate{{0, 0}, {1, 1e9}, {2, 1e9}, {3, 1e-9}}}},
		"never again": {
			Clients: Clients{Count: 10},
			Server:  Server{Windows: []Window{{Slow: 1e6}}, Service: Dist{Mean: maxDuration}},
		},
		"timeouts of ages": {
			Clients: Clients{Count: 10},
			Server:  Server{Windows: []Window{{BlackHole: 1}}},
			Policies: []*rebound.Policy{{
				Attempts: 1e9, AttemptTimeout: math.MaxInt64, MaxElapsed: math.MaxInt64,
				Backoff: backoff.Constant(math.MaxInt64),
			}, {Attempts: 1e9, AttemptTimeout: math.MaxInt64}},
		},
	} {
		r, err := Run(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, r.Policies[0])
	}
}

func TestBuiltin(t *testing.T) {
	for _, name := range Builtins() {
		s, err := Builtin(name)
		if err != nil || s.Name != name || s.About == "" {
			t.Errorf("%s: got %q, %q, %v", name, s.Name, s.About, err)
		}
		if len(s.Server.Windows) == 0 {
			continue
		}
		s.Server.Windows[0].From = time.Second
		if again, _ := Builtin(name); again.Server.Windows[0].From == time.Second {
			t.Errorf("%s: a change to one copy is seen in the next", name)
		}
	}
	_, err := Builtin("earthquake")
	want := `sim: there is no scenario "earthquake": want one of blip, outage, brownout, ` +
		`rate-limit, metastable, herd, quota, replica, cascade`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
