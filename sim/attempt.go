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
	e.cause = served
	processes := x.layers[0].processes
	// In a closed loop clients are spread evenly over the processes. In an open loop each call comes
	// to one at random, as behind a load balancer.
	process := id
	switch {
	case x.Clients.Count == 0:
		process = uint32(e.random.below(processes))
	case processes < x.Clients.Count:
		process %= uint32(processes)
	}
	e.top = frame{start: now, process: process * uint32(x.layers[0].hosts)}
	x.tally.callBegan(now)
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

// attempt begins an attempt in a layer, and with it a call in each of the layers below.
func (x *engine) attempt(id uint32, level int, now time.Duration) {
	for {
		l, f := &x.layers[level], x.frame(id, level)
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
		// As with contexts, an attempt ends no later than the call that it is part of.
		f.expires = min(x.contextEnd(id, level), l.attemptEnd(f, now))
		level++
		if level == len(x.layers) {
			x.send(id, f.expires, now)
			return
		}
		below := &x.layers[level]
		process := uint32(x.entities[id].random.below(below.processes) * below.hosts)
		*x.frame(id, level) = frame{start: now, process: process}
		if x.PayPerCall {
			below.pay(process)
		}
		if below.busy && !x.receive(id, level, now) {
			return
		}
	}
}

// pass has a layer that has done its own work call the next one: there its policy's time begins.
func (x *engine) pass(id uint32, level int, now time.Duration) {
	x.frame(id, level).start = now
	x.attempt(id, level, now)
}

// attemptEnd is when an attempt that begins now is given up. The limit of a hundred years keeps the
// sum from overflowing.
func (l *layer) attemptEnd(f *frame, now time.Duration) time.Duration {
	end := never
	if l.timeout > 0 {
		end = now + min(l.timeout, longest)
	}
	if l.p.MaxElapsed > 0 {
		end = min(end, f.start+min(l.p.MaxElapsed, longest))
	}
	return end
}

// send makes an attempt at the server. How and when the server will answer is certain at once, so
// the answer or the attempt's timeout, whichever is first, is the only event.
func (x *engine) send(id uint32, expires, now time.Duration) {
	e := &x.entities[id]
	x.tally.attempted(now, x.repeated(id))
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

// repeated reports whether an attempt is a retry of any layer. What the server meets is a retry if
// any of the calls above it is at its second attempt.
func (x *engine) repeated(id uint32) bool {
	for level := range x.layers {
		if x.frame(id, level).attempt > 1 {
			return true
		}
	}
	return false
}
