package sim

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// answer handles the end of an attempt at the server.
func (x *engine) answer(id uint32, now time.Duration, c cause) {
	x.note(id, now, c)
	if c == served {
		x.succeed(id, now)
	} else {
		x.fail(id, len(x.layers)-1, now, c, nil)
	}
}

// note counts an answer of the server, and learns from it.
func (x *engine) note(id uint32, now time.Duration, c cause) {
	x.tally.answered(now, c)
	if x.Server.Limit.Headers {
		x.learn(id, now, c)
	}
}

// succeed ends the call in all layers. No layer checks results, so a success below is a success in
// all of them.
func (x *engine) succeed(id uint32, now time.Duration) {
	for level := range x.layers {
		l, f := &x.layers[level], x.frame(id, level)
		// An outcome is large, so it is made only if a breaker or a limit needs it.
		if l.guarded {
			x.leave(id, level, now, gate.Outcome{Result: gate.OK})
		}
		if !x.PayPerCall {
			l.pay(f.process)
		}
		if l.workers != nil {
			x.release(id, level, now)
		}
	}
	x.over(id, now, true)
}

// fail handles the failure of an attempt in a layer. Either another attempt will be made, or the
// call fails in this layer, and with it an attempt of the layer above. The cause c is how the
// attempt at the server ended. The fault risen is its meaning in the layer below, or nil if the
// layer below is the server.
func (x *engine) fail(id uint32, level int, now time.Duration, c cause, risen *fault.Fault) {
	for ; ; level-- {
		l, f := &x.layers[level], x.frame(id, level)
		late := now >= x.contextEnd(id, level)
		means := risen
		switch {
		// The call's own context has ended, so the answer does not matter.
		case late:
			means = &l.ended
		// The attempt's own timeout in this layer.
		case now >= f.expires:
			means = &l.faults[expired]
		// Only the lowest layer gets the server's answer itself.
		case risen == nil && c == limited:
			means = x.limitedFault(l, id)
		case risen == nil:
			means = &l.faults[c]
		}
		if l.guarded {
			x.leave(id, level, now, judged(means, late))
		}
		reason := x.retry(id, level, now, means)
		if reason == "" {
			return
		}
		if level == 0 {
			x.over(id, now, false)
			return
		}
		up := x.layers[level-1].rise(l, f, reason, means, c, nil)
		risen = &up
		x.release(id, level, now)
	}
}

// limitedFault is what an answer of the server's limit means to a layer. Each answer asks for a
// delay of its own.
func (x *engine) limitedFault(l *layer, id uint32) *fault.Fault {
	f := &l.faults[limited]
	if f.After != asked {
		return f
	}
	x.limited = *f
	x.limited.After = x.extras[id].after
	return &x.limited
}

// judged is a failure's outcome for the breaker and the limits. A deadline that ends during an
// attempt counts as a failure of the service.
func judged(means *fault.Fault, late bool) gate.Outcome {
	o := gate.Outcome{Fault: *means}
	if late && means.Kind == fault.Canceled {
		o.Fault.Kind = fault.Transient
	}
	return o
}

// reject ends the call of a layer in which an attempt was not admitted, because of the given
// rejection or because the call's time was up in a queue.
func (x *engine) reject(
	id uint32, level int, now time.Duration, why rebound.Reason, refusal error,
) {
	if why == rebound.Rejected {
		x.tally.at(now).Rejected++
	}
	l, f, c := &x.layers[level], x.frame(id, level), x.entities[id].cause
	// The first attempt took no token, so there is none to return.
	if f.attempt > 0 {
		l.giveBack(f.process, &l.faults[c])
	}
	if level == 0 {
		x.over(id, now, false)
		return
	}
	up := x.layers[level-1].rise(l, f, why, &l.faults[c], c, refusal)
	x.release(id, level, now)
	x.fail(id, level-1, now, shut, &up)
}

// retry decides on a retry. It returns why the call ends, or "" if another attempt is due. It makes
// the same decisions as rebound.Loop, in the same order: by the policy, the breaker and the limits,
// and the budget. The differential test compares the two.
func (x *engine) retry(id uint32, level int, now time.Duration, f *fault.Fault) rebound.Reason {
	e, l, call := &x.entities[id], &x.layers[level], x.frame(id, level)
	// A negative U stands for delays without jitter.
	s := rebound.State{Attempt: int(call.attempt), Elapsed: now - call.start, Prev: call.prev, U: -1}
	if !x.NoJitter {
		s.U = e.random.float()
	}
	// Decide compares delays with the time that is left.
	if end := x.contextEnd(id, level); end != never {
		// A Left of 0 would mean that there is no deadline.
		s.Left = max(end-now, 1)
	}
	d := l.p.Decide(s, *f)
	switch {
	case !d.Retry:
		if f.Kind == fault.None && !x.PayPerCall {
			l.pay(call.process) // an answer: the service is healthy
		}
		return d.Reason
	// No delay begins before an attempt that would be rejected.
	case l.guarded && l.refuses(call.process, now, d.Delay):
		x.tally.at(now).Rejected++
		return rebound.Rejected
	case !l.take(call.process, now, f):
		x.tally.at(now).Denied++
		return rebound.OutOfBudget
	}
	call.prev = d.Delay
	e.level = uint8(level)
	// A subtraction, because the sum with a very long delay would overflow.
	if d.Delay < x.Duration-now {
		x.later(id, now+d.Delay, doAttempt)
	}
	return ""
}

// over ends a call of the first layer.
func (x *engine) over(id uint32, now time.Duration, ok bool) {
	e := &x.entities[id]
	x.tally.callEnded(e.top.start, now, ok)
	switch {
	case x.Clients.Count == 0:
		// The entity is free for another call of the open loop.
		x.idle = append(x.idle, id)
	// A client of a closed loop pauses and calls again, until it has made all its calls.
	case x.Clients.Calls == 0 || int(e.made) < x.Clients.Calls:
		x.later(id, now+x.think.draw(&e.random), doCall)
	}
}
