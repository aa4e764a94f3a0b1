// Package outage detects that the service is away. Then the breaker of the policy opens, and rows
// wait and use no attempts.
package outage

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/clock"
)

// failures in a row open the breaker. A dozen rows that fail eight times each are no outage.
const failures = 100

// NewBreaker returns a breaker that opens after 100 failures in a row. Then it admits a probe after
// 5 s, and later ones after up to 30 s.
func NewBreaker() *breaker.Breaker {
	return &breaker.Breaker{Name: "service", Failures: failures, Cooldown: 5 * time.Second,
		MaxCooldown: 30 * time.Second}
}

// A run waits for that long in all its outages together. If the service has answered nothing yet,
// it may not exist.
const (
	Longest = time.Hour
	First   = time.Minute
)

// Service is what a run has seen of the service. The zero Service is ready to use.
type Service struct {
	answers atomic.Int64
	began   atomic.Int64 // when the outage began: a clock.Now; 0 = there is none
	waited  atomic.Int64 // time in earlier outages, in nanoseconds
}

// answered counts an answer. It ends an outage.
func (s *Service) answered() {
	s.answers.Add(1)
	if s.began.Load() == 0 {
		return
	}
	if began := s.began.Swap(0); began != 0 {
		s.waited.Add(int64(clock.Now()) - began)
	}
}

// begin begins an outage, if there is none.
func (s *Service) begin() { s.began.CompareAndSwap(0, int64(clock.Now())) }

// Left returns how long the run may still wait for the end of an outage.
func (s *Service) Left() time.Duration {
	longest := Longest
	if s.answers.Load() == 0 {
		longest = First
	}
	return max(longest-time.Duration(s.waited.Load())-s.Away(), 0)
}

// Away returns how long the service has been away: the time since the breaker opened after the last
// answer. 0 = it is there.
func (s *Service) Away() time.Duration {
	if began := s.began.Load(); began != 0 {
		return clock.Now() - time.Duration(began)
	}
	return 0
}

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

// Gate is the breaker of a worker, without the failures of suspects. When the run has waited
// enough, the breaker admits every row, and rows fail when their attempts are used up.
type Gate struct {
	*breaker.Breaker
	Service *Service
	Row     func() *History // of the current row
}

// Enter admits an attempt, or rejects it while the service is away.
func (g Gate) Enter(ctx context.Context) (gate.Pass, error) {
	if g.over(0) && g.State() != breaker.Closed {
		g.ForceClose()
	}
	p, err := g.Breaker.Enter(ctx)
	if err != nil {
		g.Service.begin()
	}
	return p, err
}

// Refusal returns the error of an attempt that would be rejected after d, or nil.
func (g Gate) Refusal(d time.Duration) error {
	if g.over(d) {
		return nil // Enter will close the breaker
	}
	return g.Breaker.Refusal(d)
}

// over reports whether, after d, the run has waited enough for the end of an outage.
func (g Gate) over(d time.Duration) bool {
	return g.Service.began.Load() != 0 && g.Service.Left() <= d
}

// Leave counts an attempt. A suspect that is sent as a probe counts: it was chosen at random.
func (g Gate) Leave(p gate.Pass, o gate.Outcome) {
	switch kind := o.Fault.Kind; {
	case o.Result == gate.OK, o.Result == gate.Failed && kind == fault.Permanent:
		g.Service.answered()
	case o.Result != gate.Failed, kind == fault.RateLimited, kind == fault.Canceled:
	case !g.Row().failed(g.Service.answers.Load()) && g.State() == breaker.Closed:
		o = gate.Outcome{Result: gate.Skipped}
	}
	g.Breaker.Leave(p, o)
	// If one row is sent at a time, none is ever rejected: each row waits until it is the next probe.
	if o.Result == gate.Failed && g.State() != breaker.Closed {
		g.Service.begin()
	}
}
