// Package outage detects that the service is away. Then the breaker of the policy opens, and rows
// wait and use no attempts.
package outage

import (
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// failures in a row open the breaker. A dozen rows that fail eight times each are no outage.
const failures = 100

// NewBreaker returns a breaker that opens after 100 failures in a row. Then it admits a probe after
// 5 s, and later ones after up to 30 s.
func NewBreaker() *breaker.Breaker {
	return &breaker.Breaker{Name: "service", Failures: failures, Cooldown: 5 * time.Second,
		MaxCooldown: 30 * time.Second}
}

// Service counts what the service has answered. The zero Service is ready to use.
type Service struct{ answers atomic.Int64 }

// History is what is known about the failures of a row. The zero History is that of a row that has
// not failed.
type History int64

// Suspect is the History of a row that has failed, although the service answered other rows
// afterwards. At the end of a batch only such rows may be left, and they are no outage.
const Suspect History = -1

// failed records a failure after that many answers. It returns false if the row is a suspect.
func (h *History) failed(answers int64) bool {
	switch now := History(answers + 1); *h {
	case 0:
		*h = now
	case now:
	default:
		*h = Suspect
	}
	return *h != Suspect
}

// Gate is the breaker of a worker, without the failures of suspects.
type Gate struct {
	*breaker.Breaker
	Service *Service
	Row     func() *History // of the current row
}

// Leave counts an attempt. A suspect that is sent as a probe counts: it was chosen at random.
func (g Gate) Leave(p gate.Pass, o gate.Outcome) {
	switch kind := o.Fault.Kind; {
	case o.Result == gate.OK, o.Result == gate.Failed && kind == fault.Permanent:
		g.Service.answers.Add(1)
	case o.Result != gate.Failed, kind == fault.RateLimited, kind == fault.Canceled:
	case !g.Row().failed(g.Service.answers.Load()) && g.State() == breaker.Closed:
		o = gate.Outcome{Result: gate.Skipped}
	}
	g.Breaker.Leave(p, o)
}
