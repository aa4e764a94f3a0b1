package reboundredis

import (
	"slices"
	"sync"
	"time"
)

const (
	// leaseSpan is the time for which turns are booked in advance, and for which they stay usable.
	// So a fleet has at most the turns of 10 ms more than its limit.
	leaseSpan = 10 * time.Millisecond
	leaseRate = 1000 // turns per second, above which they are leased
	maxLease  = 100  // turns at once: more do not make a round trip cheaper

	// trusted is how long an answer is good for a rejection without another one. The fleet can only
	// book more meanwhile, but the key may be deleted.
	trusted = time.Second
)

// turns are what a process has booked and does not use yet, and what it knows of the others. The
// turns were leased in advance, or are those of attempts that were canceled.
type turns struct {
	mu        sync.Mutex // guards all below
	free      []turn     // in order
	lease     int        // how many are booked at a time; 0 = 1
	leased    time.Time  // the last time
	given     bool       // some are of attempts that were canceled since Redis was offered them
	returning bool       // a goroutine offers them

	tat  time.Time // when the bucket in Redis is full again, as of the last answer
	asOf time.Time // of that answer
}

// take takes a turn that is booked already, if there is one within longest.
func (s *turns) take(b booking, now time.Time, longest time.Duration) (turn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for i, t := range s.free {
		switch {
		case t.at.Sub(now) > longest:
			return turn{}, false
		case t.n == b.n:
			s.free = slices.Delete(s.free, i, i+1)
			return t, true
		}
	}
	return turn{}, false
}

// room returns the time until there is a turn, or 0 if that is unknown.
func (s *turns) room(b booking, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.asOf) > trusted {
		return 0
	}
	room := s.tat.Sub(now) + b.cost - b.beyond()
	s.expire(now)
	for _, t := range s.free {
		if t.n == b.n {
			room = min(room, t.at.Sub(now))
			break
		}
	}
	return max(room, 0)
}

// debt returns the time until the bucket in Redis is full again.
func (s *turns) debt(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.tat.Sub(now), 0)
}

// expire drops the turns that are too old. The caller holds mu.
func (s *turns) expire(now time.Time) {
	s.free = slices.DeleteFunc(s.free, func(t turn) bool {
		if !t.last.Before(now) {
			return false
		}
		s.lease-- // this process takes fewer than it has leased
		return true
	})
}

// count returns how many turns to book. It is what this process needs in leaseSpan: twice as many
// as before if those are in use already, fewer if some have expired.
func (s *turns) count(b booking, now time.Time) int {
	if !b.leases {
		return 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if now.Sub(s.leased) <= leaseSpan {
		s.lease *= 2
	}
	s.leased = now
	s.lease = max(min(s.lease, int(leaseSpan/max(b.cost, time.Microsecond)), maxLease), 1)
	return s.lease
}

// learn notes the answer to a request for turns, and returns the first of those that are booked.
// The answer is about some instant between begun and now. So no turn may be too early, and no
// rejection without another answer too late.
func (s *turns) learn(b booking, count int, a answer, begun, now time.Time) (first turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.booked {
		count = 0
	}
	tat := begun.Add(a.wait - b.cost + b.beyond() + time.Duration(count)*b.cost)
	// Of two answers the later arrival time is the newer one, except after a deletion.
	if tat.After(s.tat) || now.Sub(s.asOf) > trusted {
		s.tat, s.asOf = tat, now
	}
	for i := range count {
		behind := time.Duration(count-1-i) * b.cost
		t := turn{
			at: now.Add(max(a.wait+time.Duration(i)*b.cost, 0)),
			n:  b.n, cost: b.cost, tat: a.tat - behind.Microseconds(),
		}
		t.last = t.at.Add(leaseSpan)
		if !b.leases {
			t.last = t.at.Add(min(b.cost, leaseSpan))
		}
		if i == 0 {
			first = t
			continue
		}
		s.insert(t)
	}
	return first
}

// insert adds a turn. The caller holds mu.
func (s *turns) insert(t turn) {
	byTime := func(a, b turn) int { return a.at.Compare(b.at) }
	i, _ := slices.BinarySearchFunc(s.free, t, byTime)
	s.free = slices.Insert(s.free, i, t)
}

// give adds the turn of an attempt that was canceled. True: it is not offered to Redis yet.
func (s *turns) give(t turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(t)
	idle := !s.returning
	s.given, s.returning = true, true
	return idle
}

// offer takes all turns out, to offer them to Redis. False: none was given since the last time.
func (s *turns) offer(now time.Time) ([]turn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if s.returning = s.given; !s.returning {
		return nil, false
	}
	all := s.free
	s.free, s.given = nil, false
	return all, true
}

// keep adds those of the offered turns that Redis has not taken.
func (s *turns) keep(kept []turn, taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken > 0 {
		s.tat, s.asOf = time.Time{}, time.Time{} // the next turn is an earlier one
	}
	for _, t := range kept {
		s.insert(t)
	}
}
