package sim

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// begin begins a call of the first layer.
func (x *engine) begin(id uint32, now time.Duration) {
	e := &x.entities[id]
	e.made++
	process := id
	if top := x.layers[0].processes; x.Clients.Count == 0 {
		process = uint32(e.random.below(top))
	} else if top < x.Clients.Count {
		process = id % uint32(top)
	}
	e.top = frame{start: now, process: process}
	x.callBegan(now)
	if x.PayPerCall {
		x.layers[0].pay(process)
	}
	x.attempt(id, 0, now)
}

// attempt begins an attempt in a layer, and with it a call in each of the layers below.
func (x *engine) attempt(id uint32, level int, now time.Duration) {
	e := &x.entities[id]
	for ; ; level++ {
		l, f := &x.layers[level], x.frame(id, level)
		if l.breaker != nil {
			pass, ok := l.enter(f.process, now)
			if !ok {
				x.at(now).Rejected++
				x.settle(id, level, now, outcome{reason: rebound.Rejected, cause: e.cause})
				return
			}
			f.pass = pass
		}
		f.attempt++
		f.expires = min(x.contextEnd(id, level), l.attemptEnd(f, now))
		if level == len(x.layers)-1 {
			x.send(id, f, now)
			return
		}
		below := &x.layers[level+1]
		process := uint32(e.random.below(below.processes))
		*x.frame(id, level+1) = frame{start: now, process: process}
		if x.PayPerCall {
			below.pay(process)
		}
	}
}

func (x *engine) frame(id uint32, level int) *frame {
	if level == 0 {
		return &x.entities[id].top
	}
	return &x.frames[int(id)*(len(x.layers)-1)+level-1]
}

// contextEnd is when the context of a call in a layer ends.
func (x *engine) contextEnd(id uint32, level int) time.Duration {
	switch {
	case level > 0:
		return x.frame(id, level-1).expires
	case x.Clients.Deadline > 0:
		return x.entities[id].top.start + x.Clients.Deadline
	}
	return never
}

// attemptEnd is when an attempt that begins now is given up.
func (l *layer) attemptEnd(f *frame, now time.Duration) time.Duration {
	switch {
	case l.timeout == 0:
		return never
	case l.cut:
		return now + min(l.timeout, l.p.MaxElapsed-(now-f.start))
	}
	return now + l.timeout
}

// send makes an attempt at the server.
func (x *engine) send(id uint32, f *frame, now time.Duration) {
	e := &x.entities[id]
	x.attempted(now, x.repeated(id))
	x.attempts++
	if x.attempts > x.MaxAttempts && x.err == nil {
		x.err = fmt.Errorf("sim: at %v, %d attempts were made: want fewer, by fewer clients or "+
			"longer waits, or a higher Scenario.MaxAttempts", now, x.MaxAttempts)
	}
	if x.server.hop.shape != 0 {
		x.later(id, now+x.server.hop.draw(&e.random), read)
		return
	}
	c, at := x.server.arrive(now, f.expires, &e.random)
	if at >= f.expires {
		c, at = expired, f.expires
	}
	e.cause = c
	switch {
	case at >= x.Duration:
	case at == now, x.eager:
		x.end(id, at, c)
	default:
		x.later(id, at, answer_)
	}
}

// repeated reports whether an attempt is a retry of any layer.
func (x *engine) repeated(id uint32) bool {
	if x.entities[id].top.attempt > 1 {
		return true
	}
	for level := 1; level < len(x.layers); level++ {
		if x.frame(id, level).attempt > 1 {
			return true
		}
	}
	return false
}

// end is the end of an attempt at the server.
func (x *engine) end(id uint32, now time.Duration, c cause) {
	x.answered(now, c)
	x.settle(id, len(x.layers)-1, now, outcome{cause: c})
}

// outcome is how an attempt, or the call of the layer below that it stands for, has ended.
type outcome struct {
	cause  cause
	reason rebound.Reason // Rejected: this layer's breaker did not let the attempt through
	fault  *fault.Fault   // what the layer below says it means; nil = go by cause
}

// settle does what follows the end of an attempt in a layer: the call ends, and with it an attempt
// of the layer above, or another attempt is due.
func (x *engine) settle(id uint32, level int, now time.Duration, o outcome) {
	for ; ; level-- {
		l, f := &x.layers[level], x.frame(id, level)
		reason, means := o.reason, &l.faults[o.cause]
		switch {
		case reason == rebound.Rejected:
		case o.cause == served:
			x.leave(id, level, now, fault.Outcome{Result: fault.OK})
			if !x.PayPerCall {
				l.pay(f.process)
			}
		default:
			means = x.meaning(id, level, now, &o)
			if l.breaker != nil {
				x.leave(id, level, now, x.judged(id, level, now, means))
			}
			if reason = x.retry(id, level, now, means); reason == "" {
				return
			}
		}
		if level == 0 {
			x.over(id, now, o.cause == served && reason != rebound.Rejected)
			return
		}
		o.reason = ""
		if o.cause != served || reason == rebound.Rejected {
			risen := x.layers[level-1].rise(l, f, reason, means, o.cause)
			o.fault = &risen
			if o.cause == served {
				o.cause = full
			}
		}
	}
}

// meaning is what a failed attempt means to its layer.
func (x *engine) meaning(id uint32, level int, now time.Duration, o *outcome) *fault.Fault {
	l := &x.layers[level]
	switch {
	case now >= x.contextEnd(id, level):
		return &l.ended
	case now >= x.frame(id, level).expires:
		return &l.faults[expired]
	case o.fault != nil:
		return o.fault
	}
	return &l.faults[o.cause]
}

// judged is what the breaker is told: a deadline in the middle of an attempt is a failure.
func (x *engine) judged(id uint32, level int, now time.Duration, f *fault.Fault) fault.Outcome {
	o := fault.Outcome{Fault: *f}
	if f.Kind == fault.Canceled && now >= x.contextEnd(id, level) {
		o.Fault.Kind = fault.Transient
	}
	return o
}

func (x *engine) leave(id uint32, level int, now time.Duration, o fault.Outcome) {
	if l := &x.layers[level]; l.breaker != nil {
		f := x.frame(id, level)
		l.leave(f.process, now, f.pass, o, &x.entities[id].random)
	}
}

// retry has the policy decide. It returns why the call ends, or "" if another attempt is due.
func (x *engine) retry(id uint32, level int, now time.Duration, means *fault.Fault) rebound.Reason {
	e, l, f := &x.entities[id], &x.layers[level], x.frame(id, level)
	s := rebound.State{Attempt: int(f.attempt), Elapsed: now - f.start, Prev: f.prev, U: -1}
	if !x.NoJitter {
		s.U = e.random.float()
	}
	if end := x.contextEnd(id, level); end != never {
		s.Left = max(end-now, 1)
	}
	d := l.p.Decide(s, *means)
	switch {
	case !d.Retry:
		if means.Kind == fault.None && !x.PayPerCall {
			l.pay(f.process)
		}
		return d.Reason
	case !l.take(f.process, now, means):
		x.at(now).Denied++
		return rebound.OutOfBudget
	}
	f.prev = d.Delay
	e.level = uint8(level)
	if d.Delay < x.Duration-now {
		x.later(id, now+d.Delay, again)
	}
	return ""
}

// over ends a call of the first layer.
func (x *engine) over(id uint32, now time.Duration, ok bool) {
	e := &x.entities[id]
	x.callEnded(e.top.start, now, ok)
	switch {
	case x.Clients.Count == 0:
		x.idle = append(x.idle, id)
	case x.Clients.Calls == 0 || int(e.made) < x.Clients.Calls:
		x.later(id, now+x.think.draw(&e.random), call)
	}
}
