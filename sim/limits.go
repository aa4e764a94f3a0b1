package sim

import (
	"slices"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// clientLimit is a limit among the Gates of a policy: the state of one process, in its bare form.
// Entities are only numbers to it. It makes no events; the engine acts on its answers.
type clientLimit interface {
	// enter requests an attempt at now. last is the latest time at which a waiting entity leaves the
	// queue. The time returned is that of the entity's next wake.
	enter(id uint32, now, last time.Duration, r *random) (entry, time.Duration)
	// wake decides about an entity that waits, at the time that enter or wake returned for it.
	wake(id uint32, now time.Duration) (entry, time.Duration)
	// pass is what leave needs to know about an attempt that was just admitted.
	pass(now time.Duration) gate.Pass
	leave(now time.Duration, p gate.Pass, o gate.Outcome)
	// next removes the first entity from the queue that has a permit because another one has left.
	next() (id uint32, ok bool)
	// moved returns the queue if its times have changed since the last call, or else nil.
	moved() line
	// refuses reports whether an attempt after the delay would certainly be rejected.
	refuses(now, delay time.Duration) bool
	// rejection is what a rejection means to a caller.
	rejection(now time.Duration) fault.Fault
	// level is the limit, if it adapts, and the number of entities that wait.
	level() (most, waiting int)
}

// entry is the answer of a clientLimit: the attempt continues, ends its call, or waits in the
// queue.
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

// due is the next time at which something happens to the waiter by itself. If its turn and its end
// are at the same time, the turn counts, because it is checked first.
func (w waiter) due() time.Duration { return min(w.turn, w.last) }

// line is a queue of waiters in order. A slice is enough: except for waiters that give up, only the
// first one leaves.
type line []waiter

// remove removes an entity, and returns it with the index at which it was.
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

// until returns when the wait of an entity that begins at now ends. A wait of 0, or of over a
// hundred years, has no end of its own, so that the sum cannot overflow.
func until(now, wait, last time.Duration) time.Duration {
	if wait == 0 || wait > longest {
		return last
	}
	return min(last, now+wait)
}

// noQueue implements the methods of a clientLimit in which nothing waits, and whose answer cannot
// be foreseen. Limits embed it and override some of the methods.
type noQueue struct{}

func (noQueue) wake(uint32, time.Duration) (entry, time.Duration) { return rejected, 0 }
func (noQueue) pass(time.Duration) gate.Pass                      { return gate.Pass{} }
func (noQueue) next() (uint32, bool)                              { return 0, false }
func (noQueue) moved() line                                       { return nil }
func (noQueue) refuses(now, delay time.Duration) bool             { return false }
func (noQueue) level() (most, waiting int)                        { return 0, 0 }

// ours returns the meaning of a rejection on the client's side. Nothing was sent, so an outer
// policy may retry any call, and no breaker or limit counts the rejection.
func ours(k fault.Kind, after time.Duration, detail string) fault.Fault {
	return fault.Fault{Kind: k, Sent: fault.NotSent, After: after, Detail: detail}
}
