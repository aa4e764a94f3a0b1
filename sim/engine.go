package sim

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// entity is a client in a closed loop, or a call in an open one. It has at most one event to come,
// and fills one cache line.
type entity struct {
	random random
	top    frame  // of the first layer
	made   uint32 // calls
	cause  cause  // how the last attempt at the server ended, or will
	level  uint8  // of the layer whose attempt is due, if next is doAttempt
	next   action
}

// place is where an entity waits: among the limits of a policy, or in the queue of a layer.
type place struct {
	level  uint8
	gate   uint8         // the next one to enter
	waits  bool          // in the queue of that one
	wakeAt time.Duration // when it does
}

// timer marks an entity's number in an event that is a wake. The entity may also have another
// event. A wake is ignored if the place has another wake time by then.
const timer = 1 << 31

// action is what an entity does at its next event.
type action uint8

const (
	doCall    action = iota // begin a call
	doAttempt               // begin another attempt
	doAnswer                // take the end of the attempt
	doWork                  // take the worker that is free, in a layer
	doEnter                 // call the next layer
	doGiveUp                // end the call that a layer works on
	doRead                  // read the row
	doWrite                 // write it
	doLeg                   // end a leg of a hedged attempt, or begin one
)

// engine plays a scenario with one policy. One goroutine runs it, so nothing is locked.
type engine struct {
	*Scenario
	tally    tally
	calendar calendar
	server   server
	arrivals arrivals
	think    dist
	layers   []layer
	entities []entity
	frames   []frame // of the layers below the first, for each entity
	gates    int     // the most limits that any layer has; 0 = nothing is kept of them
	queues   bool    // calls may wait for workers of a layer
	places   []place // of each entity among the limits, or in a queue
	passes   []gate.Pass
	seen     []uint32 // the version of the row that each entity read
	extras   []extra  // of each entity, in a scenario that needs them
	hedger   *hedger  // nil = no attempts are hedged
	idle     []uint32 // entities whose call is over
	eager    bool     // an answer reaches its client as soon as it is computed

	clock    time.Duration
	due      time.Duration // the end of a bin, see sample
	standing int           // events since the clock last moved
	waiting  int           // entities in the queues of limits
	queueing int           // entities that wait for a worker of a layer
	limits   float64       // the sum of all adaptive limits,
	adaptive int           // and how many there are
	attempts int64         // at the server, or refused by a breaker
	touched  uint32        // see touch
	limited  fault.Fault   // see limitedFault
	policy   int           // which one of the scenario's it is
	err      error
}

// newEngine prepares everything that does not change during the run, so that an event allocates
// nothing.
func newEngine(s *Scenario, p *rebound.Policy) *engine {
	x := &engine{
		Scenario: s,
		tally:    newTally(s),
		calendar: newCalendar(s.Duration),
		server:   newServer(s.Server, s.Duration),
		think:    s.Clients.Think.ready(),
	}
	// The errors and their meaning are the same for all attempts, so they are made once.
	errs := causeErrors(&s.Server)
	// Only the lowest layer calls the server, so only this layer distinguishes replicas.
	hosts := func(level int) int {
		if level < len(s.Layers) || s.Server.Route == "" || s.Server.Route == Balanced {
			return 1
		}
		return s.Server.Replicas
	}
	x.layers = append(x.layers, newLayer(p, s.Clients.Processes, hosts(0), s.Clients.Timeout, errs))
	for i, l := range s.Layers {
		q := l.Policy
		if q == nil {
			q = p
		}
		// Clients.Timeout is the first layer's alone: a layer below ends with the attempt above it.
		below := newLayer(q, l.Processes, hosts(i+1), 0, errs)
		below.mute, below.workers, below.service = l.Mute, newWorkers(&l), l.Service.ready()
		below.busy = below.workers != nil || below.service.shape != ""
		x.queues = x.queues || below.workers != nil
		x.layers = append(x.layers, below)
	}
	x.hedger = newHedger(s, p, errs)
	x.layers[len(x.layers)-1].avoiding = s.Server.Route == Avoiding
	for i := range x.layers {
		x.measure(x.layers[i].gates)
	}
	// The end of such an attempt needs no event, because its order among the events of others does not
	// matter.
	x.eager = x.independent()
	// The entities of an open loop are made when calls arrive.
	if s.Clients.Count == 0 {
		x.arrivals = newArrivals(s.Seed, &s.Clients)
		return x
	}
	x.arrivals.next = never
	// The exact capacity: growing a slice of a million clients would hold two copies for a moment.
	x.entities = make([]entity, 0, s.Clients.Count)
	for range s.Clients.Count {
		x.enroll()
	}
	return x
}

// independent reports whether no other client can observe the end of an attempt. Then the end need
// not be an event.
func (x *engine) independent() bool {
	top := &x.layers[0]
	if x.hedger != nil {
		return false // an answer that comes in time keeps a hedge from beginning
	}
	// A budget that several clients share, a breaker and a limit all show others how an attempt ended.
	return len(x.layers) == 1 && x.gates == 0 && top.breaker == nil && x.server.hop.shape == "" &&
		(top.budget == nil || x.Clients.Count > 0 && top.processes == x.Clients.Count)
}

// enroll adds a client of the closed loop. Its random numbers depend only on its own number, so
// every policy meets the same clients.
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

// extend adds an entity and everything that is stored beside it. Slices that a scenario does not
// need stay empty: a million clients would make each of them large.
func (x *engine) extend() uint32 {
	x.entities = append(x.entities, entity{})
	// The first layer's frame is in the entity itself, since every entity has it.
	x.frames = append(x.frames, make([]frame, len(x.layers)-1)...)
	if x.gates > 0 || x.queues {
		x.places = append(x.places, place{})
	}
	if x.gates > 0 {
		x.passes = append(x.passes, make([]gate.Pass, x.gates*len(x.layers))...)
	}
	if x.server.hop.shape != "" {
		x.seen = append(x.seen, 0)
	}
	if x.Server.Limit.on() || x.Clients.Poison > 0 {
		x.extras = append(x.extras, extra{})
	}
	if x.hedger != nil {
		x.hedger.races = append(x.hedger.races, race{})
	}
	return uint32(len(x.entities) - 1)
}

// later sets the next event of an entity, which must have none.
func (x *engine) later(id uint32, at time.Duration, next action) {
	// One event for each entity keeps the calendar small.
	x.entities[id].next = next
	x.calendar.push(at, id)
}

// frame is the call of an entity in a layer.
func (x *engine) frame(id uint32, level int) *frame {
	if level == 0 {
		return &x.entities[id].top
	}
	return &x.frames[int(id)*(len(x.layers)-1)+level-1]
}

// contextEnd returns when the context of that call ends: with the attempt of the layer above.
func (x *engine) contextEnd(id uint32, level int) time.Duration {
	switch {
	// The context of a call is that of the attempt around it.
	case level > 0:
		return x.frame(id, level-1).expires
	case x.Clients.Deadline > 0:
		return x.entities[id].top.start + x.Clients.Deadline
	}
	return never
}

// measure counts the limits of a layer, and adds up those that adapt. To read a million limits for
// each bin would cost more than the run.
func (x *engine) measure(processes [][]clientLimit) {
	for _, gates := range processes {
		x.gates = max(x.gates, len(gates))
		for _, g := range gates {
			// Only adaptive limits report a level: the mean of fixed ones never changes.
			if most, _ := g.level(); most > 0 {
				x.limits += float64(most)
				x.adaptive++
			}
		}
	}
}

// count counts an attempt, and ends the run with an error if there are too many.
func (x *engine) count(now time.Duration) {
	// The error ends the run after the event under way.
	if x.attempts++; x.attempts > x.MaxAttempts {
		x.err = wrong("MaxAttempts", x.MaxAttempts, fmt.Sprintf("more, or fewer calls or longer "+
			"delays: so many attempts were made in %v", now))
	}
}
