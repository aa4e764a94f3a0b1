package sim

import (
	"time"

	"github.com/rebound-go/rebound/gate"
)

// leave leaves the breaker of a layer, and its limits in reverse order. This comes before the
// call's next attempt is decided, so no permit is held during a delay.
func (x *engine) leave(id uint32, level int, now time.Duration, o gate.Outcome) {
	l := &x.layers[level]
	if l.breaker != nil {
		l.leave(x.frame(id, level), now, o, &x.entities[id].random)
	}
	x.leaveGates(id, level, x.gates, now, o)
}

// leaveGates leaves the first n limits of a layer, or all that it has. Entities that get a permit
// through this begin their attempts in their own events.
func (x *engine) leaveGates(id uint32, level, n int, now time.Duration, o gate.Outcome) {
	gates := x.gatesOf(id, level)
	for i := min(n, len(gates)) - 1; i >= 0; i-- {
		g := gates[i]
		// The sum of all limits is kept up to date by differences.
		before, _ := g.level()
		g.leave(now, *x.passOf(id, level, i), o)
		after, _ := g.level()
		x.limits += float64(after - before)
		for next, ok := g.next(); ok; next, ok = g.next() {
			x.admit(next, g, now)
		}
	}
}

// admit ends the wait of an entity. Its attempt continues in an event, because the attempt that
// returns the permit must end first.
func (x *engine) admit(id uint32, g clientLimit, now time.Duration) {
	at := &x.places[id]
	*x.passOf(id, int(at.level), int(at.gate)) = g.pass(now)
	at.waits = false
	at.gate++
	x.waiting--
	x.entities[id].level = at.level
	x.later(id, now, doAttempt)
}

// wakeLater sets the wake of an entity that waits. An earlier wake of it is then outdated.
func (x *engine) wakeLater(id uint32, at time.Duration) {
	x.places[id].wakeAt = at
	x.calendar.push(at, id|timer)
}

// retime sets the wakes of a queue whose times have changed.
func (x *engine) retime(g clientLimit) {
	for _, w := range g.moved() {
		x.wakeLater(w.id, w.due())
	}
}

// learn passes to the rates of the lowest layer what the server's answer states about its limit.
func (x *engine) learn(id uint32, now time.Duration, c cause) {
	e := &x.extras[id]
	left, reset := float64(e.quota.requests), e.quota.reset
	switch {
	case c == limited && e.after > 0:
		left, reset = 0, e.after
	// Only answers that have passed the limit, or were rejected by it, state anything.
	case c != served && c != failed && c != limited, left < 0:
		return
	}
	for _, g := range x.gatesOf(id, len(x.layers)-1) {
		if p, ok := g.(*pacer); ok {
			p.learn(now, left, reset)
			x.retime(p)
		}
	}
}

// gatesOf are the limits of a call's process in a layer.
func (x *engine) gatesOf(id uint32, level int) []clientLimit {
	return x.layers[level].limits(x.frame(id, level).process)
}

// passOf is where the pass of a gate is kept. A scenario without limits has no memory for passes,
// which would be larger than its clients.
func (x *engine) passOf(id uint32, level, i int) *gate.Pass {
	return &x.passes[(int(id)*len(x.layers)+level)*x.gates+i]
}

// release frees the worker of a call that has ended in a layer. The next call in the queue gets it,
// in its own event.
func (x *engine) release(id uint32, level int, now time.Duration) {
	if x.layers[level].workers == nil {
		return
	}
	workers := x.workersOf(id, level)
	workers.leave(now, gate.Pass{}, gate.Outcome{})
	for next, ok := workers.next(); ok; next, ok = workers.next() {
		at := &x.places[next]
		at.waits, at.gate = false, 0
		x.queueing--
		x.entities[next].level = uint8(level)
		x.later(next, now, doWork)
	}
}

// workersOf are the workers of a call's process in a layer.
func (x *engine) workersOf(id uint32, level int) *permits {
	l := &x.layers[level]
	return l.workers[x.frame(id, level).process/uint32(l.hosts)]
}
