package breaker

import (
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// history is what a breaker keeps once its state has changed.
type history struct {
	refusal atomic.Pointer[OpenError] // of the state now, if it refuses
	early   atomic.Pointer[OpenError] // refusal, as long as no rejection needs the clock
	refused atomic.Uint64             // calls, or those that would be without Shadow

	// Guarded by the shared's mu:
	last     Change
	opened   int
	openedBy fault.Fault
	trial    circuit.Trial // circuit.Machine.Trial

	refusedBefore uint64 // refused when it opened last

	queue     []Change // not reported yet
	reporting bool     // some goroutine is in OnChange
}

// A clock costs three quarters of a rejection. So history.early holds the error of a cooldown of
// which a tenth at least is left, and a timer clears it. Whatever is not in early is decided by the
// clock, also in the last tenth: a timer that is late by less than that keeps no probe away. A
// system's sleep stops both the clock and the timer.
const (
	minEarly = time.Second // below, there is no time for a timer to be late
	askClock = 1024        // one in so many rejections asks the clock all the same
)

// rejectEarly returns the error of a cooldown that is not over, and counts the rejection, if that
// takes no clock.
//
// A timer may never go off: on a platform without preemption, it does not during a loop that calls
// until it is admitted. Such a loop ends with one of the calls that ask the clock.
func (l *history) rejectEarly() *OpenError {
	if l == nil {
		return nil
	}
	e := l.early.Load()
	if e == nil || l.refused.Load()%askClock == askClock-1 && !e.lasts(clock.Now()) {
		return nil
	}
	l.refused.Add(1)
	return e
}

// setEarly begins the cooldown that e is of. The timer goes on if the state changes before the
// cooldown is over, and then finds another error, or none. In a synctest bubble there is no timer:
// those of a bubble never go off once it has ended, but a breaker may outlive it.
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
