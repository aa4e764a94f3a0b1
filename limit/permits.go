package limit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// permits counts the attempts under way, and queues those that found no permit. The zero permits is
// ready to use. The largest number at a time is an argument, because it may change.
//
// One word counts both the attempts under way and those in the queue. So while the queue is empty,
// an attempt takes a permit, and returns it, in one atomic step, which also shows whether the queue
// is empty.
type permits struct {
	word     atomic.Uint64 // under way in the lower half, waiting in the upper one
	rejected atomic.Uint64

	mu          sync.Mutex // held while the upper half of word changes
	first, last *place
}

// place is an attempt's place in the queue. The mutex of permits guards it.
type place struct {
	granted    chan struct{} // closed when a permit has been handed over
	prev, next *place
	queued     bool
}

const oneWaiting = 1 << 32

// take takes a permit if one is free and the queue is empty. A word with a queue is larger than any
// most.
func (p *permits) take(most int) bool {
	for {
		w := p.word.Load()
		if w >= uint64(most) {
			return false
		}
		if p.word.CompareAndSwap(w, w+1) {
			return true
		}
	}
}

// drop returns a permit and reports whether an attempt waits. If so, the caller must call grant:
// until then no attempt takes the permit.
func (p *permits) drop() bool { return p.word.Add(^uint64(0)) >= oneWaiting }

// load returns how many are under way and how many wait.
func (p *permits) load() (underWay, waiting int) {
	w := p.word.Load()
	return int(w % oneWaiting), int(w / oneWaiting)
}

// full reports whether an attempt would find neither a permit nor room in the queue.
func (p *permits) full(most, queue int) bool {
	underWay, waiting := p.load()
	return underWay >= most && waiting >= queue
}

func (p *permits) snapshot(name, kind string, most int) Snapshot {
	underWay, waiting := p.load()
	return Snapshot{
		Name: name, Kind: kind, Limit: float64(most), InFlight: underWay, Waiting: waiting,
		Level: float64(most - underWay), Rejected: p.rejected.Load(),
	}
}

// enter is wait with an error: the context's cause, or a rejection, which it counts.
func (p *permits) enter(ctx context.Context, most func() int, queue int, limit time.Duration,
	rejection func() error,
) error {
	if p.wait(ctx, most, queue, limit) {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.rejected.Add(1)
	return rejection()
}

// grant hands free permits to the attempts in the queue, the first one first.
func (p *permits) grant(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grantLocked(most)
}

// grantLocked is grant for a caller that holds mu.
func (p *permits) grantLocked(most int) {
	for p.first != nil {
		w := p.word.Load()
		if w%oneWaiting >= uint64(most) {
			return
		}
		// One step moves the attempt out of the queue and into the count of those under way. In two
		// steps, another attempt could find a free permit and an empty queue in between.
		if p.word.CompareAndSwap(w, w+1-oneWaiting) {
			first := p.first
			p.remove(first)
			close(first.granted)
		}
	}
}

// wait takes a permit. If none is free and fewer than queue attempts wait, it waits for one. It
// waits at most for limit, or without a bound if limit is 0. It returns false, and has taken
// nothing, if it got no permit or if ctx has ended. most returns the largest number of attempts at
// a time.
func (p *permits) wait(
	ctx context.Context, most func() int, queue int, limit time.Duration,
) bool {
	if ctx.Err() != nil {
		return false
	}
	at, taken := p.join(most, queue)
	if at == nil {
		return taken
	}
	var timeout <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-at.granted:
	case <-ctx.Done():
	case <-timeout:
	}
	if p.quit(at) {
		return false
	}
	// The permit may have been handed over at the moment at which the context ended. The attempt would
	// not begin, so the next attempt gets the permit.
	if ctx.Err() != nil {
		if p.drop() {
			p.grant(most())
		}
		return false
	}
	return true
}

// join takes a permit, or else a place in the queue. It takes neither if the queue is full.
func (p *permits) join(limit func() int, queue int) (at *place, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := limit()
	for {
		p.grantLocked(most) // a permit that was given back a moment ago
		if p.take(most) {
			return nil, true
		}
		w := p.word.Load()
		switch {
		case w%oneWaiting < uint64(most):
			continue
		case w/oneWaiting >= uint64(min(max(queue, 0), math.MaxInt32)):
			return nil, false
		case p.word.CompareAndSwap(w, w+oneWaiting):
			at = p.add()
			// The limit may have grown while the queue was still empty.
			p.grantLocked(limit())
			return at, false
		}
	}
}

// add returns a new place at the end of the queue. The caller holds mu.
func (p *permits) add() *place {
	at := &place{granted: make(chan struct{}), prev: p.last, queued: true}
	if p.last == nil {
		p.first = at
	} else {
		p.last.next = at
	}
	p.last = at
	return at
}

// quit gives a place back. False: a permit has been handed over to it.
func (p *permits) quit(at *place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !at.queued {
		return false
	}
	p.remove(at)
	p.word.Add(^uint64(oneWaiting - 1))
	return true
}

// remove takes a place out of the queue. The caller holds mu.
func (p *permits) remove(at *place) {
	if at.prev == nil {
		p.first = at.next
	} else {
		at.prev.next = at.next
	}
	if at.next == nil {
		p.last = at.prev
	} else {
		at.next.prev = at.prev
	}
	at.queued = false
}
