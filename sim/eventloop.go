package sim

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
)

// run plays the scenario to its end, or to the first error.
func (x *engine) run() error {
	for x.err == nil {
		// An arrival has no entity before it comes, so it is not in the calendar. It comes before events
		// at the same time.
		now, id, ok := x.calendar.pop(x.arrivals.next)
		switch {
		case ok:
			if x.calendar.done == 1 {
				x.touch()
			}
			x.tick(now)
			x.do(id, now)
		case x.arrivals.next < x.Duration:
			now = x.arrivals.next
			x.tick(now)
			x.join(now)
		default:
			x.sample(x.Duration)
			return nil
		}
	}
	return x.err
}

// touch reads all entities of a bucket that was just opened. Their cache misses overlap if they are
// read together. That saves two fifths of the time with a million clients.
func (x *engine) touch() {
	sum := uint32(0)
	for _, event := range x.calendar.sorted {
		sum += x.entities[uint32(event)&^timer].made
	}
	x.touched = sum
}

// do handles an entity's event. A transaction on the row takes four messages: to the row and back
// to read it, and to the row and back to write it.
func (x *engine) do(id uint32, now time.Duration) {
	if id&timer != 0 {
		x.wake(id&^timer, now)
		return
	}
	e := &x.entities[id]
	switch e.next {
	case doCall:
		x.begin(id, now)
	case doAttempt:
		x.attempt(id, int(e.level), now)
	case doAnswer:
		x.answer(id, now, e.cause)
	case doWork:
		if level := int(e.level); x.work(id, level, now) {
			x.pass(id, level, now)
		}
	case doEnter:
		x.pass(id, int(e.level), now)
	case doGiveUp:
		x.giveUp(id, int(e.level), now)
	case doLeg:
		x.leg(id, now)
	case doRead:
		x.seen[id] = x.server.version
		// The answer's way back and the write's way there. Nothing happens in between.
		hops := x.server.hop.draw(&e.random) + x.server.hop.draw(&e.random)
		x.later(id, now+hops, doWrite)
	case doWrite:
		e.cause = served
		// Another client has written since this one read, so the optimistic transaction fails.
		if x.seen[id] != x.server.version {
			e.cause = conflict
		} else {
			x.server.version++
		}
		x.later(id, now+x.server.hop.draw(&e.random), doAnswer)
	}
}

// join begins a call of the open loop. Entities whose calls are over are used again, so memory
// grows only with the calls under way.
func (x *engine) join(now time.Duration) {
	var id uint32
	switch n := len(x.idle); {
	case n > 0:
		id = x.idle[n-1]
		x.idle = x.idle[:n-1]
	// Calls begin faster than they end, and the run would need more memory than it may use.
	case len(x.entities) == maxClients:
		x.err = x.crowded(now)
		return
	default:
		id = x.extend()
	}
	// The arrival's number selects the random numbers, not the entity's. Which entity is free depends
	// on the policy, but all policies must meet the same calls.
	x.entities[id] = entity{random: newRandom(x.Seed, x.arrivals.advance())}
	x.begin(id, now)
}

// tick moves the clock forward.
func (x *engine) tick(now time.Duration) {
	if now != x.clock {
		if now >= x.due {
			x.sample(now)
		}
		x.clock, x.standing = now, 0
	}
	// If nothing takes time, calls follow each other at the same moment for ever. Only a count can
	// detect that. A realistic scenario has a few events of each entity at one time.
	if x.standing++; x.standing > 1000*len(x.entities)+1_000_000 {
		x.err = x.standsStill(now)
	}
}

// crowded returns the error of calls that begin faster than they end. A profile has no single rate,
// so its error names no rate.
func (x *engine) crowded(now time.Duration) error {
	var got any = x.Clients.Rate
	if len(x.Clients.Profile) > 0 {
		got = "too much"
	}
	return wrong(x.Clients.loop(), got, fmt.Sprintf("less, or Clients.Timeout or Clients.Deadline: "+
		"%d calls are under way at %v", maxClients, now))
}

// standsStill returns the error of calls or attempts that take no time. It names the field that is
// probably missing. This is the pause of a closed loop whose connections are refused at once, or
// the delays of a policy with unlimited attempts.
func (x *engine) standsStill(now time.Duration) error {
	const other = "or a longer Server.Service or Server.RoundTrip"
	still := fmt.Sprintf("the clock stands still at %v", now)
	// The attempts of one call are too few for this error, unless they are unlimited.
	most := x.Policies[x.policy].Attempts
	endless := most == rebound.Unlimited || most > 1000
	if x.Clients.Count > 0 && x.Clients.Think == (Dist{}) && !endless {
		return wrong("Clients.Think", x.Clients.Think.Mean, fmt.Sprintf(
			"more, %s: clients call again as soon as they failed, so %s", other, still))
	}
	return fmt.Errorf("sim: Scenario.Policies[%d].Backoff: its delays are too short: "+
		"want longer ones, %s: attempts follow each other at once, so %s", x.policy, other, still)
}

// sample completes the bins that end at now or before.
func (x *engine) sample(now time.Duration) {
	for {
		b, end := x.tally.current()
		if x.due = end; end > now {
			return
		}
		// A bin ends just before its end time. What begins at that time belongs to the next bin.
		b.Queue = x.server.queued(end - 1)
		b.Open = x.open()
		b.LayerQueue = x.queueing
		// The mean over all processes: each has its own limit.
		b.Waiting, b.Limit = x.waiting, x.limits/float64(max(x.adaptive, 1))
		x.tally.done++
	}
}

// open is the share of the breakers that are open or half-open. Layers keep the count, because
// looking at a million breakers for each bin would cost more than the run.
func (x *engine) open() float64 {
	var n, all int
	for i := range x.layers {
		n += x.layers[i].open
		all += len(x.layers[i].breakers)
	}
	if all == 0 {
		return 0
	}
	return float64(n) / float64(all)
}
