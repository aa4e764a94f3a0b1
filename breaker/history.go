package breaker

import (
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// history is what a breaker keeps after its first change of state. A breaker that never changes has
// none.
type history struct {
	refusal  atomic.Pointer[OpenError] // the error of the present state; nil if closed
	early    atomic.Pointer[OpenError] // refusal, as long as no rejection needs the clock
	rejected atomic.Uint64             // rejections; of a Shadow, those that it would have made

	// Guarded by the shared's mu:
	last     Change
	opened   int
	openedBy fault.Fault
	trial    circuit.Trial // circuit.Machine.Trial

	rejectedBefore uint64 // rejected when it opened last

	queue     []Change // not reported yet
	reporting bool     // some goroutine is in OnChange
}

// Reading the clock is three quarters of the cost of a rejection. So history.early holds the error
// of a cooldown while at least a tenth of it is left, and a timer clears it. In the last tenth the
// clock decides. So a timer that is late by less than a tenth delays no probe. If the system
// sleeps, both the clock and the timer stop.
const (
	minEarly = time.Second // below, there is no time for a timer to be late
	askClock = 1024        // one in 1024 rejections reads the clock
)

// rejectEarly returns the error of a cooldown that is not over, and counts the rejection, if no
// clock is needed for it.
//
// On a platform without preemption, the timer never fires during a loop that calls until it is
// admitted. So one call in askClock reads the clock, which ends such a loop.
func (l *history) rejectEarly() *OpenError {
	if l == nil {
		return nil
	}
	e := l.early.Load()
	if e == nil || l.rejected.Load()%askClock == askClock-1 && !e.lasts(clock.Now()) {
		return nil
	}
	l.rejected.Add(1)
	return e
}

// setEarly starts the cooldown of e. The timer is not stopped if the state changes first; it then
// finds another error, or none. In a synctest bubble there is no timer: it would never fire after
// the bubble has ended, but a breaker may outlive the bubble.
func (l *history) setEarly(cfg *circuit.Config, e *OpenError) {
	now := clock.Now()
	left := e.until - now
	switch {
	case e.State != Open || cfg.Shadow:
		return
	case e.Forced:
		l.early.Store(e)
	case left >= minEarly && !clock.InBubble(now):
		l.early.Store(e)
		time.AfterFunc(left/10*9, func() { l.early.CompareAndSwap(e, nil) })
	}
}
