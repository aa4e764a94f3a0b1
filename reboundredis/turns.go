package reboundredis

import (
	"slices"
	"sync"
	"time"
)

const (
	// leaseSpan is the time for which turns are booked in advance, and during which they can be used.
	// So a fleet uses at most the turns of 10 ms more than its limit.
	leaseSpan = 10 * time.Millisecond
	leaseRate = 1000 // turns per second, above which they are leased
	maxLease  = 100  // turns at once: more do not make a round trip cheaper

	// trusted is how long an answer of Redis justifies rejections without another one. In the meantime
	// the fleet can only book more turns, but the key may be deleted.
	trusted = time.Second
)

// turns are what a process has booked and not used yet, and what it knows of the rest of the fleet.
// The turns were leased in advance, or belonged to attempts that were canceled.
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

// take takes a turn that is already booked, if there is one within longest.
func (s *turns) take(b booking, now time.Time, longest time.Duration) (turn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for i, t := range s.free {
		switch {
		case t.at.Sub(now) > longest:
			return turn{}, false
		// A turn fits only an attempt that needs as many tokens.
		case t.n == b.n:
			s.free = slices.Delete(s.free, i, i+1)
			return t, true
		}
	}
	return turn{}, false
}

// room returns the time until there is a turn, or 0 if that is not known.
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

// expire drops turns that are too old. The caller holds mu.
func (s *turns) expire(now time.Time) {
	s.free = slices.DeleteFunc(s.free, func(t turn) bool {
		if !t.last.Before(now) {
			return false
		}
		s.lease-- // this process takes fewer than it has leased
		return true
	})
}

// count returns how many turns to book: what this process needs in leaseSpan. That is twice as many
// as last time if those are used already, and fewer if some have expired.
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

// learn records the answer to a request for turns, and returns the first turn that is booked. The
// answer describes some moment between begun and now. So no turn must be too early, and no
// rejection based on it too late.
func (s *turns) learn(b booking, count int, a answer, begun, now time.Time) (first turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.booked {
		count = 0
	}
	tat := begun.Add(a.wait - b.cost + b.beyond() + time.Duration(count)*b.cost)
	// Of two answers the one with the later arrival time is newer, unless the key was deleted.
	if tat.After(s.tat) || now.Sub(s.asOf) > trusted {
		s.tat, s.asOf = tat, now
	}
	for i := range count {
		// The arrival time that Redis returns is that after the last turn.
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

// insert adds a turn in the order of time. The caller holds mu.
func (s *turns) insert(t turn) {
	byTime := func(a, b turn) int { return a.at.Compare(b.at) }
	i, _ := slices.BinarySearchFunc(s.free, t, byTime)
	s.free = slices.Insert(s.free, i, t)
}

// give adds the turn of a canceled attempt. It returns true if no goroutine is offering turns to
// Redis.
func (s *turns) give(t turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(t)
	idle := !s.returning
	s.given, s.returning = true, true
	return idle
}

// offer takes all turns out, to offer them to Redis. It returns false if none was given since the
// last offer.
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

// keep puts back those of the offered turns that Redis has not taken.
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
