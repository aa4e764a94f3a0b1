package sim

import (
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/gcra"
	"github.com/rebound-go/rebound/internal/shed"
	"github.com/rebound-go/rebound/limit"
)

// pacer is a limit.Rate. Its line is in the order of the turns, which are booked in tat. So a later
// attempt has a later turn, and an attempt that gives up passes its turn on to those behind it.
type pacer struct {
	noQueue // but for what follows
	bucket  gcra.Bucket
	cost    time.Duration // of an attempt; 0 = the limit is not known
	wait    time.Duration
	tat     gcra.Tat // includes the turns of the line
	line    line

	left  float64       // of a limit that is not known: what the last answer left
	reset time.Duration // when everything is available again
	known bool          // there was such an answer
	again bool          // times in the line have changed
}

// newRate takes the limit per second from a snapshot, because package limit alone defines the
// default Per.
func newRate(l *limit.Rate) *pacer {
	p := &pacer{wait: l.Wait}
	if perSecond := l.Snapshot().Limit; perSecond > 0 {
		p.bucket = gcra.New(perSecond, time.Second, float64(max(l.Burst, 1)))
		p.cost = p.bucket.Cost(1)
	}
	return p
}

// enter books a turn. If the turn would be too late, it takes nothing.
func (p *pacer) enter(id uint32, now, last time.Duration, _ *random) (entry, time.Duration) {
	// A turn after that would be of no use to the call.
	last = min(last, now+min(p.wait, longest))
	if p.cost == 0 {
		return p.enterUnknown(id, now, last)
	}
	next, turn := p.bucket.Take(p.tat, now, p.cost)
	if turn > max(now, last) {
		return rejected, now
	}
	p.tat = next
	if turn <= now {
		return admitted, now
	}
	p.line = append(p.line, waiter{id, turn, last})
	return queued, turn
}

// enterUnknown takes a token from the allowance in the server's last answer, until its reset.
// Without such an answer every attempt is admitted.
func (p *pacer) enterUnknown(id uint32, now, last time.Duration) (entry, time.Duration) {
	switch {
	case !p.known || p.reset <= now:
		// The answer is out of date. What the server has now is not known.
		p.known = false
		return admitted, now
	case p.left >= 1:
		p.left--
		return admitted, now
	case p.reset > last:
		return rejected, now
	}
	p.line = append(p.line, waiter{id, p.reset, last})
	return queued, p.reset
}

// wake is called at a turn, or at the end of a wait whose turn was moved behind it.
func (p *pacer) wake(id uint32, now time.Duration) (entry, time.Duration) {
	w, i := p.line.remove(id)
	switch {
	case p.cost == 0:
		return p.enterUnknown(id, now, w.last)
	case w.turn <= now:
		return admitted, now
	}
	p.tat -= p.cost // its turn is free for those behind it
	p.shift(i, -p.cost)
	return rejected, now
}

// learn lowers the level to what the server's answer states. It never raises the level, because
// answers arrive in another order than attempts were made.
func (p *pacer) learn(now time.Duration, remaining float64, reset time.Duration) {
	if p.cost == 0 {
		until := now + reset
		if !p.known || p.reset <= now {
			p.known, p.left, p.reset = true, remaining, until
		} else if remaining <= p.left {
			p.left, p.reset = remaining, max(p.reset, until)
		}
		return
	}
	// tat includes the turns of the line, which the server has not counted yet.
	booked := p.cost * time.Duration(len(p.line))
	if later := p.bucket.Floor(now, remaining, reset) + booked - p.tat; later > 0 {
		p.tat += later
		p.shift(0, later)
	}
}

// shift moves the turns of the i-th waiter and of those behind it.
func (p *pacer) shift(i int, by time.Duration) {
	p.again = p.again || i < len(p.line)
	for ; i < len(p.line); i++ {
		p.line[i].turn += by
	}
}

// moved returns the line once after each change, so that its wakes are set again.
func (p *pacer) moved() line {
	if !p.again {
		return nil
	}
	p.again = false
	return p.line
}

// leave gives nothing back: the server has counted the attempt.
func (p *pacer) leave(time.Duration, gate.Pass, gate.Outcome) {}

// refuses foresees only what is known now, as limit.Rate does: another attempt may take the turn.
func (p *pacer) refuses(now, delay time.Duration) bool { return p.room(now)-delay > p.wait }

func (p *pacer) level() (most, waiting int) { return 0, len(p.line) }

func (p *pacer) rejection(now time.Duration) fault.Fault {
	return ours(fault.RateLimited, p.room(now), "rate limit reached")
}

// room is the time until an attempt would find its token.
func (p *pacer) room(now time.Duration) time.Duration {
	if p.cost == 0 {
		// By the last answer, there is no room before the reset.
		if p.known && p.left < 1 {
			return max(p.reset-now, 0)
		}
		return 0
	}
	_, turn := p.bucket.Take(p.tat, now, p.cost)
	return max(turn-now, 0)
}

// throttle is a limit.Throttle. It admits or rejects at once, so it has no queue.
type throttle struct {
	noQueue
	config shed.Config
	window shed.Window
}

// newThrottle reads the fields of a Throttle, whose zeros package shed replaces by defaults.
func newThrottle(t *limit.Throttle) *throttle {
	return &throttle{config: shed.Config{K: t.K, Window: t.Window, MinCalls: t.MinCalls}}
}

func (t *throttle) enter(_ uint32, now, _ time.Duration, r *random) (entry, time.Duration) {
	// A number is drawn only if it decides: a throttle that rejects nothing must not change any other
	// draw.
	if t.window.Share(&t.config, now) > 0 && !t.window.Enter(&t.config, now, r.float()) {
		return rejected, now
	}
	return admitted, now
}

func (t *throttle) leave(now time.Duration, _ gate.Pass, o gate.Outcome) {
	if accepted, counted := shed.Judge(o); counted {
		t.window.Leave(&t.config, now, accepted)
	}
}

// rejection has no delay, because attempts are rejected at random.
func (t *throttle) rejection(time.Duration) fault.Fault {
	return ours(fault.Overloaded, 0, "attempt shed")
}
