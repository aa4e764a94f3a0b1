package circuit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
)

// A service that becomes slower and slower is about to fail.
func ExampleMachine_slowCalls() {
	cfg := circuit.ConfigOf(&breaker.Breaker{
		SlowAfter: 2 * time.Second, SlowRate: 0.5, MinCalls: 4,
	})
	var s circuit.Machine
	now := time.Duration(0)
	for _, took := range []time.Duration{time.Second, time.Second, 2 * time.Second, 3 * time.Second} {
		pass, _ := s.Enter(cfg, now)
		now += took
		why := s.Leave(cfg, now, pass, gate.Outcome{Result: gate.OK}, 0)
		fmt.Printf("%v: %v %q\n", took, breaker.State(s.State(now)), why)
	}
	// Output:
	// 1s: closed ""
	// 1s: closed ""
	// 2s: closed ""
	// 3s: open "slow calls"
}

// A simulator runs any number of breakers with one configuration and its own clock.
func ExampleMachine() {
	cfg := circuit.ConfigOf(&breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second})
	var s circuit.Machine
	for now := time.Duration(0); now <= 15*time.Second; now += 5 * time.Second {
		pass, ok := s.Enter(cfg, now)
		if !ok {
			fmt.Println(now, "rejected for another", s.Remaining(now))
			continue
		}
		o := gate.Outcome{} // a failure
		if now > 0 {
			o.Result = gate.OK
		}
		why := s.Leave(cfg, now, pass, o, 0)
		fmt.Printf("%v %v %q\n", now, breaker.State(s.State(now)), why)
	}
	// Output:
	// 0s open "failures in a row"
	// 5s rejected for another 5s
	// 10s closed "probes succeeded"
	// 15s closed ""
}

// BenchmarkMachine is the state machine as a simulator drives it.
func BenchmarkMachine(b *testing.B) {
	for name, cfg := range map[string]*circuit.Config{
		"row":  circuit.ConfigOf(&breaker.Breaker{}),
		"rate": circuit.ConfigOf(&breaker.Breaker{Rate: 0.5}),
	} {
		b.Run(name, func(b *testing.B) {
			var s circuit.Machine
			var now time.Duration
			b.ReportAllocs()
			for b.Loop() {
				now += time.Millisecond
				p, _ := s.Enter(cfg, now)
				s.Leave(cfg, now, p, gate.Outcome{Result: gate.OK}, 0)
			}
		})
	}
}
