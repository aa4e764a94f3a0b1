package sim

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
)

// entity is a client in a closed loop, or a call in an open one. It has at most one event to come,
// and fills a cache line.
type entity struct {
	random random
	top    frame  // of the first layer
	made   uint32 // calls
	cause  cause  // how the last attempt at the server ended, or will
	level  uint8  // of the layer whose attempt is due, if next is doAttempt
	next   action
}

// frame is a call in one layer.
type frame struct {
	start   time.Duration
	prev    time.Duration // the wait before this attempt
	expires time.Duration // when this attempt's context ends
	pass    gate.Pass     // of the breaker
	attempt int32
	process uint32
}

// An action is what an entity does when its event comes.
type action uint8

const (
	doCall    action = iota // begin a call
	doAttempt               // begin another attempt
	doAnswer                // hear how the attempt ended
	doRead                  // read the row
	doWrite                 // write it
)

// engine plays a scenario with one policy.
type engine struct {
	*Scenario
	tally    tally
	calendar calendar
	server   server
	arrivals arrivals
	think    dist
	layers   []layer
	entities []entity
	frames   []frame  // of the layers below the first, for each entity
	seen     []uint32 // the version of the row that each entity read
	idle     []uint32 // entities whose call is over
	eager    bool     // an answer is heard as soon as it is known

	clock    time.Duration
	due      time.Duration // the end of a bin, see sample
	standing int           // events since the clock last moved
	attempts int64         // at the server, or refused by a breaker
	touched  uint32        // see touch
	err      error
}

func newEngine(s *Scenario, p *rebound.Policy) *engine {
	x := &engine{
		Scenario: s,
		tally:    newTally(s),
		calendar: newCalendar(s.Duration),
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
		return x
	}
	x.arrivals.next = never
	x.entities = make([]entity, 0, s.Clients.Count)
	for range s.Clients.Count {
		x.enroll()
	}
	return x
}

// independent reports whether nothing that an attempt's end changes is seen by any other client:
// then it need not be an event.
func (x *engine) independent() bool {
	top := &x.layers[0]
	return len(x.layers) == 1 && top.breaker == nil && x.server.hop.shape == "" &&
		(top.budget == nil || x.Clients.Count > 0 && top.processes == x.Clients.Count)
}

// enroll adds a client of the closed loop.
func (x *engine) enroll() {
	id := x.extend()
	e := &x.entities[id]
	e.random = newRandom(x.Seed, uint64(id))
	if x.Clients.Burst {
		x.later(id, 0, doCall)
	} else {
		x.later(id, x.think.draw(&e.random), doCall)
	}
}

// extend adds an entity, and what entities have beside themselves.
func (x *engine) extend() uint32 {
	x.entities = append(x.entities, entity{})
	x.frames = append(x.frames, make([]frame, len(x.layers)-1)...)
	if x.server.hop.shape != "" {
		x.seen = append(x.seen, 0)
	}
	return uint32(len(x.entities) - 1)
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
			x.do(id, now)
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

// touch reads all entities of a bucket that was just opened: in one go, their cache misses
// overlap, which saves a million clients two fifths of their time.
func (x *engine) touch() {
	sum := uint32(0)
	for _, event := range x.calendar.sorted {
		sum += x.entities[uint32(event)].made
	}
	x.touched = sum
}

func (x *engine) do(id uint32, now time.Duration) {
	e := &x.entities[id]
	switch e.next {
	case doCall:
		x.begin(id, now)
	case doAttempt:
		x.attempt(id, int(e.level), now)
	case doAnswer:
		x.answer(id, now, e.cause)
	case doRead:
		x.seen[id] = x.server.version
		hops := x.server.hop.draw(&e.random) + x.server.hop.draw(&e.random)
		x.later(id, now+hops, doWrite)
	case doWrite:
		e.cause = served
		if x.seen[id] != x.server.version {
			e.cause = conflict
		} else {
			x.server.version++
		}
		x.later(id, now+x.server.hop.draw(&e.random), doAnswer)
	}
}

func (x *engine) later(id uint32, at time.Duration, next action) {
	x.entities[id].next = next
	x.calendar.push(at, id)
}

// arrive begins a call of the open loop.
func (x *engine) arrive(now time.Duration) {
	var id uint32
	switch n := len(x.idle); {
	case n > 0:
		id = x.idle[n-1]
		x.idle = x.idle[:n-1]
	case len(x.entities) == maxClients:
		x.err = fmt.Errorf("sim: at %v, %d calls are under way at once: want a lower Clients.Rate, "+
			"or a Clients.Timeout or Clients.Deadline", now, maxClients)
		return
	default:
		id = x.extend()
	}
	x.entities[id] = entity{random: newRandom(x.Seed, x.arrivals.advance())}
	x.begin(id, now)
}

// tick moves the clock.
func (x *engine) tick(now time.Duration) {
	if now != x.clock {
		if now >= x.due {
			x.sample(now)
		}
		x.clock, x.standing = now, 0
	}
	if x.standing++; x.standing > 1000*len(x.entities)+1_000_000 {
		x.err = fmt.Errorf("sim: the clock stands still at %v: want something that takes time, such "+
			"as a longer Backoff, Clients.Think, Server.Service or Server.RoundTrip", now)
	}
}

// sample completes the bins that end at now or before.
func (x *engine) sample(now time.Duration) {
	for {
		b, end := x.tally.current()
		if x.due = end; end > now {
			return
		}
		b.Queue = x.server.queue(end - 1)
		b.Open = x.open()
		x.tally.done++
	}
}

// open is the share of the breakers that are open or half-open.
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
