package sim

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
)

// enter enters the limits of a layer, beginning with the one at the entity's place. It returns
// false if the attempt waits in a queue or was rejected.
//
// An attempt enters a policy's limits in order and leaves them in reverse order, as in the real
// engine. Only waiting differs. A goroutine blocks in Enter; an entity stops at its place, until an
// event lets it continue. There are two such events. A wake comes at a time that the limit has
// named: the turn of a rate, or the end of a wait. A permit that another attempt returns makes an
// event at once.
//
// An attempt's own timeout begins when it has passed all limits. The time of its call includes the
// waits.
func (x *engine) enter(id uint32, level int, now time.Duration) bool {
	gates := x.gatesOf(id, level)
	if gates == nil {
		return true
	}
	at := &x.places[id]
	for int(at.gate) < len(gates) {
		g := gates[at.gate]
		what, due := g.enter(id, now, x.last(id, level), &x.entities[id].random)
		switch what {
		case rejected:
			x.turnAway(id, level, now)
			return false
		case queued:
			at.level, at.waits = uint8(level), true
			x.waiting++
			x.wakeLater(id, due)
			return false
		}
		// The pass is kept for leave, which may come much later.
		*x.passOf(id, level, int(at.gate)) = g.pass(now)
		at.gate++
	}
	// As in the engine: its time may have ended while it waited.
	if now >= x.last(id, level) {
		x.turnAway(id, level, now)
		return false
	}
	at.gate = 0
	return true
}

// last returns the latest time at which a call can begin its attempt.
func (x *engine) last(id uint32, level int) time.Duration {
	end := x.contextEnd(id, level)
	if p := x.layers[level].p; p.MaxElapsed > 0 {
		end = min(end, x.frame(id, level).start+min(p.MaxElapsed, longest))
	}
	return end
}

// wake handles a wake. An entity that is admitted continues in its own event. An entity may have
// left the queue, or its turn may have moved. The calendar still holds the event, and its time
// shows that it is outdated.
func (x *engine) wake(id uint32, now time.Duration) {
	at := &x.places[id]
	if !at.waits || at.wakeAt != now {
		return
	}
	level := int(at.level)
	if at.gate == door {
		x.giveUp(id, level, now)
		return
	}
	g := x.gatesOf(id, level)[at.gate]
	what, due := g.wake(id, now)
	switch what {
	case queued:
		x.wakeLater(id, due)
	case admitted:
		x.admit(id, g, now)
	case rejected:
		at.waits = false
		x.waiting--
		x.turnAway(id, level, now)
	}
	// Others in the queue may have a different turn now.
	x.retime(g)
}

// turnAway ends the call of an attempt that the gate at its place has rejected, or whose time was
// up before the attempt had passed all gates.
func (x *engine) turnAway(id uint32, level int, now time.Duration) {
	at := &x.places[id]
	n := int(at.gate)
	at.gate = 0
	// A rejection counts, as a breaker's does. Otherwise calls that are rejected at once would never
	// end a run.
	x.count(now)
	x.leaveGates(id, level, n, now, gate.Outcome{Result: gate.Skipped})
	if now >= x.last(id, level) {
		x.reject(id, level, now, rebound.Canceled, nil)
		return
	}
	// The policy of the layer above classifies the rejection like any other error.
	refusal := answer{x.gatesOf(id, level)[n].rejection(now)}
	x.reject(id, level, now, rebound.Rejected, refusal)
}
