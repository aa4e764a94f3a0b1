package sim

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
)

// begin begins a call of the first layer.
func (x *engine) begin(id uint32, now time.Duration) {
	e := &x.entities[id]
	e.made++
	// A call may end before it reaches the server. Then no answer was bad.
	e.cause = served
	processes := x.layers[0].processes
	// In a closed loop the clients are spread evenly over the processes. In an open loop each call
	// gets a random process, as behind a load balancer.
	process := id
	switch {
	case x.Clients.Count == 0:
		process = uint32(e.random.below(processes))
	case processes < x.Clients.Count:
		process %= uint32(processes)
	}
	e.top = frame{start: now, process: process * uint32(x.layers[0].hosts)}
	x.tally.callBegan(now)
	// The tokens are drawn for the call, since all its attempts send the same request.
	if x.extras != nil {
		x.extras[id] = extra{
			tokens: x.Server.Limit.cost(&e.random), poisoned: e.random.chance(x.Clients.Poison),
		}
	}
	if x.PayPerCall {
		x.layers[0].pay(process)
	}
	x.attempt(id, 0, now)
}

// attempt begins an attempt in a layer, and with it a call in each of the layers below. It is a
// loop, because a recursion would cost too much for the attempts of a million clients.
func (x *engine) attempt(id uint32, level int, now time.Duration) {
	for {
		l, f := &x.layers[level], x.frame(id, level)
		// Most scenarios have no limits, so this costs them only one comparison.
		if l.gates != nil && !x.enter(id, level, now) {
			return
		}
		if (l.breaker != nil || l.hosts > 1) && !l.admit(f, now, &x.entities[id].random) {
			// A rejection counts toward MaxAttempts, too: calls that are rejected at once would otherwise
			// never end a run.
			x.count(now)
			x.leaveGates(id, level, x.gates, now, gate.Outcome{Result: gate.Skipped})
			x.reject(id, level, now, rebound.Rejected, l.openError())
			return
		}
		f.attempt++
		// As with contexts, an attempt ends no later than the call that it belongs to.
		f.expires = min(x.contextEnd(id, level), l.attemptEnd(f, now))
		level++
		if level == len(x.layers) {
			x.send(id, f.expires, now)
			return
		}
		below := &x.layers[level]
		// Each call below goes to a random process, as through a load balancer.
		process := uint32(x.entities[id].random.below(below.processes) * below.hosts)
		*x.frame(id, level) = frame{start: now, process: process}
		if x.PayPerCall {
			below.pay(process)
		}
		// The call waits for a worker, or for the layer's own work, and an event continues it.
		if below.busy && !x.receive(id, level, now) {
			return
		}
	}
}

// pass makes a layer that has done its own work call the next one. The time of its policy begins
// there.
func (x *engine) pass(id uint32, level int, now time.Duration) {
	x.frame(id, level).start = now
	x.attempt(id, level, now)
}

// attemptEnd returns when the time of an attempt that begins now is over. The bound of a hundred
// years keeps the sum from overflowing.
func (l *layer) attemptEnd(f *frame, now time.Duration) time.Duration {
	// An attempt without any limit on its time may last to the end of the run.
	end := never
	if l.timeout > 0 {
		end = now + min(l.timeout, longest)
	}
	if l.p.MaxElapsed > 0 {
		end = min(end, f.start+min(l.p.MaxElapsed, longest))
	}
	return end
}

// send makes an attempt at the server. The server's model decides at once how and when the attempt
// ends. So the only event is the answer or the attempt's timeout, whichever comes first.
func (x *engine) send(id uint32, expires, now time.Duration) {
	e := &x.entities[id]
	x.tally.attempted(now, x.repeated(id))
	// A transaction on the row has no timeout and no worker: only its messages take time.
	if x.server.hop.shape != "" {
		x.count(now)
		x.later(id, now+x.server.hop.draw(&e.random), doRead)
		return
	}
	at, c := x.reach(id, expires, now)
	if x.hedger != nil {
		x.race(id, now, at, c)
		return
	}
	e.cause = c
	switch {
	// The run ends first, and the call stays unfinished.
	case at >= x.Duration:
	case at == now, x.eager:
		x.answer(id, at, c)
	default:
		x.later(id, at, doAnswer)
	}
}

// repeated reports whether an attempt is a retry of any layer. To the server, an attempt is a retry
// if any of the calls above it has made an attempt before.
func (x *engine) repeated(id uint32) bool {
	for level := range x.layers {
		if x.frame(id, level).attempt > 1 {
			return true
		}
	}
	return false
}
