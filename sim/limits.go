package sim

import (
	"slices"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// clientLimit is a limit among the Gates of a policy: the state of one process, in its bare form.
// Entities are numbers to it, and it makes no events: the engine does what its answers ask for.
type clientLimit interface {
	// enter asks for an attempt at now. One that has to wait is out of the queue at last, at the
	// latest. The time is that of its next wake.
	enter(id uint32, now, last time.Duration, r *random) (entry, time.Duration)
	// wake is what becomes of one that waits, at the time that enter or wake returned for it.
	wake(id uint32, now time.Duration) (entry, time.Duration)
	// pass is what leave needs, of an attempt that was just admitted.
	pass(now time.Duration) gate.Pass
	leave(now time.Duration, p gate.Pass, o gate.Outcome)
	// next takes the first out of the queue that has a permit, since another has left.
	next() (id uint32, ok bool)
	// moved returns the queue if its times have changed since the last call, or else nil.
	moved() line
	// refuses reports whether it is certain that an attempt after the delay would be rejected.
	refuses(now, delay time.Duration) bool
	// rejection is what a rejection means to a caller.
	rejection(now time.Duration) fault.Fault
	// level is its limit, if that is of interest, and how many wait.
	level() (most, waiting int)
}

// entry is the answer of a clientLimit: an attempt goes on, ends its call, or stays in the queue.
type entry uint8

const (
	admitted entry = iota
	rejected
	queued
)

// waiter is an entity in the queue of a limit.
type waiter struct {
	id   uint32
	turn time.Duration // when it may pass; never: when another leaves
	last time.Duration // when it gives up
}

// due is when something happens to it by itself. If its turn and its end come at once, the turn
// counts, as that is asked for first.
func (w waiter) due() time.Duration { return min(w.turn, w.last) }

// line is a queue of waiters in order. A slice does for it: the first is the one that leaves, but
// for those that give up.
type line []waiter

// remove takes an entity out, and returns it and where it stood.
func (q *line) remove(id uint32) (waiter, int) {
	i := slices.IndexFunc(*q, func(w waiter) bool { return w.id == id })
	w := (*q)[i]
	if i == 0 { // the usual case costs no move
		*q = (*q)[1:]
		return w, 0
	}
	*q = slices.Delete(*q, i, i+1)
	return w, i
}

// until is when one that begins to wait at now gives up. A wait of 0 has no end of its own, and
// one of a hundred years is taken for that, lest the sum overflows.
func until(now, wait, last time.Duration) time.Duration {
	if wait == 0 || wait > longest {
		return last
	}
	return min(last, now+wait)
}

// noQueue is the part of a clientLimit in which nothing waits, and whose answer cannot be foreseen.
// Limits that have some of these methods on their own embed it for the others.
type noQueue struct{}

func (noQueue) wake(uint32, time.Duration) (entry, time.Duration) { return rejected, 0 }
func (noQueue) pass(time.Duration) gate.Pass                      { return gate.Pass{} }
func (noQueue) next() (uint32, bool)                              { return 0, false }
func (noQueue) moved() line                                       { return nil }
func (noQueue) refuses(now, delay time.Duration) bool             { return false }
func (noQueue) level() (most, waiting int)                        { return 0, 0 }

// ours is what a rejection on the client's side means. Nothing was sent, so an outer policy may try
// again whatever the call does, and no breaker or limit counts it.
func ours(k fault.Kind, after time.Duration, detail string) fault.Fault {
	return fault.Fault{Kind: k, Sent: fault.NotSent, After: after, Detail: detail}
}
