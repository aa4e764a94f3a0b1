package sim

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// entity is a client in a closed loop, or a call in an open one. It has at most one event to come,
// and fills a cache line.
type entity struct {
	random random
	top    frame // of the first layer
	made   uint32
	cause  cause
	level  uint8 // of the layer whose next attempt is due, if that is next
	next   step
}

// frame is a call in one layer.
type frame struct {
	start   time.Duration
	prev    time.Duration // the wait before this attempt
	expires time.Duration // when this attempt's context ends
	pass    fault.Pass // the breaker's
	attempt int32
	process uint32
}

// A step is what an entity does next.
type step uint8

const (
	call    step = iota // begin a call
	again               // begin another attempt
	answer_             // hear how the attempt ended
	read                // read the row
	write               // write it
)

// engine plays a scenario with one policy.
type engine struct {
	*Scenario
	tally
	calendar calendar
	server   server
	arrivals arrivals
	think    dist
	layers   []layer
	entities []entity
	frames   []frame      // of the layers below the first, for each entity
	seen     []uint32     // the version of the row that each entity read
	idle     []uint32     // entities of calls that are over
	eager    bool         // an answer is heard as soon as it is known
	clock    time.Duration
	standing int   // events since the clock last moved
	attempts int64 // at the server
	touched  uint32
	err      error
}

func newEngine(s *Scenario, p *rebound.Policy) *engine {
	x := &engine{
		Scenario: s,
		tally:    newTally(s),
		server:   newServer(s.Server, s.Duration),
		think:    s.Clients.Think.ready(),
	}
	errs := causeErrors(s.Server.Windows)
	x.layers = append(x.layers, newLayer(p, s.Clients.Processes, s.Clients.Timeout, errs))
	for _, l := range s.Layers {
		q := l.Policy
		if q == nil {
			q = p
		}
		below := newLayer(q, l.Processes, 0, errs)
		below.mute = l.Mute
		x.layers = append(x.layers, below)
	}
	x.eager = x.independent()
	if s.Clients.Count == 0 {
		x.arrivals = newArrivals(s.Seed, &s.Clients)
		x.calendar = newCalendar(s.Duration)
		return x
	}
	x.calendar = newCalendar(s.Duration)
	x.arrivals.next = never
	x.entities = make([]entity, 0, s.Clients.Count)
	for id := range s.Clients.Count {
		x.enroll(id)
	}
	return x
}

// independent reports whether nothing that an attempt's end changes is seen by any other client:
// then it need not be an event.
func (x *engine) independent() bool {
	top := &x.layers[0]
	return len(x.layers) == 1 && top.breaker == nil && x.server.hop.shape == 0 &&
		(top.budget == nil || x.Clients.Count > 0 && top.processes == x.Clients.Count)
}

// enroll adds a client of the closed loop.
func (x *engine) enroll(id int) {
	x.entities = append(x.entities, entity{random: newRandom(x.Seed, uint64(id))})
	x.extend()
	e := &x.entities[id]
	var at time.Duration
	if !x.Clients.Burst {
		at = x.think.draw(&e.random)
	}
	x.calendar.push(at, uint32(id))
}

// extend makes room for what entities have beside themselves.
func (x *engine) extend() {
	x.frames = append(x.frames, make([]frame, len(x.layers)-1)...)
	if x.server.hop.shape != 0 {
		x.seen = append(x.seen, 0)
	}
}

// run plays the scenario to its end, or to the first error.
func (x *engine) run() error {
	for x.err == nil {
		now, id, ok := x.calendar.pop(x.arrivals.next)
		switch {
		case ok:
			if x.calendar.done == 1 {
				x.touch()
			}
			x.tick(now)
			x.step(id, now)
		case x.arrivals.next < x.Duration:
			now = x.arrivals.next
			x.tick(now)
			x.arrive(now)
		default:
			x.sample(x.Duration)
			return nil
		}
	}
	return x.err
}

// touch reads the entities of a bucket in one go: so their cache misses overlap.
func (x *engine) touch() {
	sum := uint32(0)
	for _, event := range x.calendar.sorted {
		sum += x.entities[uint32(event)].made
	}
	x.touched = sum
}

func (x *engine) step(id uint32, now time.Duration) {
	e := &x.entities[id]
	switch e.next {
	case call:
		x.begin(id, now)
	case again:
		x.attempt(id, int(e.level), now)
	case answer_:
		x.end(id, now, e.cause)
	case read:
		x.seen[id] = x.server.version
		hops := x.server.hop.draw(&e.random) + x.server.hop.draw(&e.random)
		x.later(id, now+hops, write)
	case write:
		e.cause = served
		if x.seen[id] != x.server.version {
			e.cause = conflict
		} else {
			x.server.version++
		}
		x.later(id, now+x.server.hop.draw(&e.random), answer_)
	}
}

func (x *engine) later(id uint32, at time.Duration, next step) {
	x.entities[id].next = next
	x.calendar.push(at, id)
}

// arrive begins a call of the open loop.
func (x *engine) arrive(now time.Duration) {
	n := x.arrivals.advance()
	var id uint32
	if k := len(x.idle); k > 0 {
		id = x.idle[k-1]
		x.idle = x.idle[:k-1]
	} else {
		if len(x.entities) == maxClients {
			x.err = fmt.Errorf("sim: at %v, %d calls are under way at once: want fewer, by a lower "+
				"Clients.Rate, a Clients.Timeout or Clients.Deadline", now, maxClients)
			return
		}
		id = uint32(len(x.entities))
		x.entities = append(x.entities, entity{})
		x.extend()
	}
	e := &x.entities[id]
	*e = entity{random: newRandom(x.Seed, n)}
	x.begin(id, now)
}

// tick moves the clock.
func (x *engine) tick(now time.Duration) {
	if now >= time.Duration(x.tally.next+1)*x.bin {
		x.sample(now)
	}
	if now != x.clock {
		x.clock, x.standing = now, 0
	}
	if x.standing++; x.standing > 1000*len(x.entities)+1_000_000 {
		x.err = fmt.Errorf("sim: the clock stands still at %v: something must take time, such as "+
			"the policy's Backoff, Clients.Think, Server.Service or Server.RoundTrip", now)
	}
}

// sample completes the bins that end at now or before.
func (x *engine) sample(now time.Duration) {
	for x.tally.next < len(x.bins) {
		end := min(time.Duration(x.tally.next+1)*x.bin, x.tally.end)
		if end > now {
			return
		}
		b := &x.bins[x.tally.next]
		b.Queue = x.server.queue(end - 1)
		b.Open = x.notClosed()
		x.tally.next++
	}
}

// notClosed is the share of breakers that are not closed.
func (x *engine) notClosed() float64 {
	var n, all int
	for i := range x.layers {
		n += x.layers[i].notClose
		all += len(x.layers[i].breakers)
	}
	if all == 0 {
		return 0
	}
	return float64(n) / float64(all)
}
