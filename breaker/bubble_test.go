package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// A breaker that a test leaves open is not stuck in the next test: Enter uses the clock, as State
// does.
func TestBreakerOutlivesBubble(t *testing.T) {
	b := &breaker.Breaker{Failures: 1, Cooldown: time.Second}
	synctest.Test(t, func(t *testing.T) {
		p, err := b.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.Leave(p, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient}})
		if got := b.State(); got != breaker.Open {
			t.Fatalf("state %v, want open", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		if _, err := b.Enter(t.Context()); err != nil {
			t.Errorf("a day later: %v", err)
		}
	})
}
