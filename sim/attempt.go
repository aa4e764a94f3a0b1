package sim

import (
	"fmt"
	"time"
)

// begin begins a call of the first layer.
func (x *engine) begin(id uint32, now time.Duration) {
	e := &x.entities[id]
	e.made++
	e.cause = served
	processes := x.layers[0].processes
	process := id
	switch {
	case x.Clients.Count == 0:
		process = uint32(e.random.below(processes))
	case processes < x.Clients.Count:
		process %= uint32(processes)
	}
	e.top = frame{start: now, process: process}
	x.tally.callBegan(now)
	if x.PayPerCall {
		x.layers[0].pay(process)
	}
	x.attempt(id, 0, now)
}

// attempt begins an attempt in a layer, and with it a call in each of the layers below.
func (x *engine) attempt(id uint32, level int, now time.Duration) {
	for {
		l, f := &x.layers[level], x.frame(id, level)
		if l.breaker != nil && !l.enter(f, now) {
			x.count(now)
			x.reject(id, level, now)
			return
		}
		f.attempt++
		f.expires = min(x.contextEnd(id, level), l.attemptEnd(f, now))
		level++
		if level == len(x.layers) {
			x.send(id, f.expires, now)
			return
		}
		below := &x.layers[level]
		process := uint32(x.entities[id].random.below(below.processes))
		*x.frame(id, level) = frame{start: now, process: process}
		if x.PayPerCall {
			below.pay(process)
		}
	}
}

// attemptEnd is when an attempt that begins now is given up.
func (l *layer) attemptEnd(f *frame, now time.Duration) time.Duration {
	switch {
	case l.timeout == 0:
		return never
	case l.cut:
		return now + min(l.timeout, l.p.MaxElapsed-(now-f.start), longest)
	}
	return now + min(l.timeout, longest)
}

// send makes an attempt at the server.
func (x *engine) send(id uint32, expires, now time.Duration) {
	e := &x.entities[id]
	x.tally.attempted(now, x.repeated(id))
	x.count(now)
	if x.server.hop.shape != "" {
		x.later(id, now+x.server.hop.draw(&e.random), doRead)
		return
	}
	c, at := x.server.arrive(now, expires, &e.random)
	if at >= expires {
		c, at = expired, expires
	}
	e.cause = c
	switch {
	case at >= x.Duration:
	case at == now, x.eager:
		x.answer(id, at, c)
	default:
		x.later(id, at, doAnswer)
	}
}

// count bounds the run.
func (x *engine) count(now time.Duration) {
	x.attempts++
	switch {
	case x.attempts > x.MaxAttempts:
		x.err = fmt.Errorf("sim: at %v, more than %d attempts were made: want fewer clients, longer "+
			"waits or a higher Scenario.MaxAttempts", now, x.MaxAttempts)
	case len(x.server.inside)+x.server.waiting.n > maxQueue:
		x.err = fmt.Errorf("sim: at %v, more than %d attempts are in the server: want a limit for "+
			"Server.Queue, or fewer clients", now, maxQueue)
	}
}

// repeated reports whether an attempt is a retry of any layer.
func (x *engine) repeated(id uint32) bool {
	for level := range x.layers {
		if x.frame(id, level).attempt > 1 {
			return true
		}
	}
	return false
}
