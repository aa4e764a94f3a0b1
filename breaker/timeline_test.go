package breaker_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
)

var outcomes = map[string]gate.Outcome{
	"ok":         success,
	"fail":       failure,
	"transient":  {Fault: fault.Fault{Kind: fault.Transient, Err: errDown}},
	"overloaded": {Fault: fault.Fault{Kind: fault.Overloaded, Err: errDown}},
	"unknown":    {Fault: fault.Fault{Kind: fault.Unknown, Err: errDown}},
	"limited":    {Fault: fault.Fault{Kind: fault.RateLimited, Err: errDown}},
	"canceled":   {Fault: fault.Fault{Kind: fault.Canceled, Err: context.Canceled}},
	"notfound":   {Fault: fault.Fault{Kind: fault.Permanent, Detail: "status 404"}},
	"nohost":     {Fault: fault.Fault{Kind: fault.Permanent, Sent: fault.NotSent, Err: errDown}},
	"answer":     {Fault: fault.Fault{Kind: fault.None, Err: errDown}},
	"skipped":    {Result: gate.Skipped},
	"panic":      {},
}

// subject is one of the forms of a breaker.
type subject struct {
	guard
	state   func() breaker.State // as calls are met
	shows   func() breaker.State // in snapshots
	refused func() [2]uint64     // in total, and since it opened; nil: it does not count them
	trip    func(time.Duration)
	methods map[string]func()
	wait    func(time.Duration)
}

type controls interface {
	guard
	State() breaker.State
	Snapshot() breaker.Snapshot
	Trip(time.Duration)
	Refusal(time.Duration) error
	ForceOpen()
	ForceClose()
	ForceHalfOpen()
	Reset()
}

// shared is a Breaker, or a key of a Group, in a synctest bubble.
func shared(b controls) subject {
	return subject{
		guard: b, state: b.State, trip: b.Trip, wait: time.Sleep,
		shows: func() breaker.State { return b.Snapshot().State },
		refused: func() [2]uint64 {
			v := b.Snapshot()
			return [2]uint64{v.Rejected, v.RejectedNow}
		},
		methods: map[string]func(){"forceopen": b.ForceOpen, "forceclose": b.ForceClose,
			"halfopen": b.ForceHalfOpen, "reset": b.Reset},
	}
}

// bareGate is a circuit.Machine with a clock of its own.
type bareGate struct {
	circuit.Machine
	cfg *circuit.Config
	now time.Duration
}

func (g *bareGate) Enter(context.Context) (gate.Pass, error) {
	p, ok := g.Machine.Enter(g.cfg, g.now)
	if !ok {
		return p, breaker.ErrOpen
	}
	return p, nil
}

func (g *bareGate) Leave(p gate.Pass, o gate.Outcome) { g.Machine.Leave(g.cfg, g.now, p, o, 0) }

func bare(b *breaker.Breaker) subject {
	g := &bareGate{cfg: circuit.ConfigOf(b)}
	shows := func() breaker.State { return breaker.State(g.Machine.State(g.now)) }
	return subject{
		guard: g, shows: shows,
		state: func() breaker.State {
			if b.Shadow {
				return breaker.Closed
			}
			return shows()
		},
		trip: func(d time.Duration) { g.Machine.Trip(g.now, d) },
		wait: func(d time.Duration) { g.now += d },
	}
}

func TestTimelines(t *testing.T) {
	for _, tl := range slices.Concat(timelines, modeTimelines) {
		t.Run(tl.name+"/breaker", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, shared(tl.cfg()), tl.rows) })
		})
		t.Run(tl.name+"/group", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, shared(keyOf(tl.cfg())), tl.rows) })
		})
		if !strings.Contains(tl.rows, "force") && !strings.Contains(tl.rows, "reset") {
			t.Run(tl.name+"/bare", func(t *testing.T) { play(t, bare(tl.cfg()), tl.rows) })
		}
	}
}

// keyOf is a key of a group whose breakers are all like b.
func keyOf(b *breaker.Breaker) breaker.Keyed[string] {
	return (&breaker.Group[string]{Template: breaker.Breaker{
		Name: b.Name, Failures: b.Failures, Rate: b.Rate, MinCalls: b.MinCalls, Window: b.Window,
		WindowCalls: b.WindowCalls, SlowAfter: b.SlowAfter, SlowRate: b.SlowRate,
		Cooldown: b.Cooldown, MaxCooldown: b.MaxCooldown, CooldownJitter: b.CooldownJitter,
		Probes: b.Probes, Counts: b.Counts, OnChange: b.OnChange, Shadow: b.Shadow,
	}}).For("key")
}

// play acts out the rows and compares the state after each.
func play(t *testing.T, s subject, rows string) {
	t.Helper()
	var now time.Duration
	passes := map[string]gate.Pass{}
	for row := range strings.Lines(strings.TrimSpace(rows)) {
		f := strings.Fields(row)
		at, err := time.ParseDuration(f[0])
		if err != nil {
			t.Fatal(err)
		}
		s.wait(at - now)
		now = at
		act(t, s, passes, f[1:len(f)-1])
		if got, want := s.state().String(), f[len(f)-1]; got != want {
			t.Fatalf("after %q: state %s, want %s", strings.TrimSpace(row), got, want)
		}
		if t.Failed() {
			t.Fatalf("in row %q", strings.TrimSpace(row))
		}
	}
}

// act performs one row.
func act(t *testing.T, s subject, passes map[string]gate.Pass, words []string) {
	t.Helper()
	o, whole := outcomes[words[0]]
	method := s.methods[words[0]]
	switch {
	case words[0] == "enter":
		p, err := s.Enter(t.Context())
		if err != nil {
			t.Errorf("rejected: %v", err)
		}
		passes[words[1]] = p
	case words[0] == "refused":
		if _, err := s.Enter(t.Context()); err == nil {
			t.Errorf("a call was admitted, want it rejected")
		}
	case words[0] == "trip":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.trip(d)
	case words[0] == "shows":
		if got := s.shows().String(); got != words[1] {
			t.Errorf("shows %s, want %s", got, words[1])
		}
	case len(words) == 2:
		s.Leave(passes[words[0]], outcomes[words[1]])
	case whole && !call(s, o):
		t.Errorf("the call was rejected")
	case method != nil:
		method()
	case !whole && words[0] != "state":
		t.Fatalf("unknown verb %q", words[0])
	}
}
