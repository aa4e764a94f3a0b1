package reboundredis

import (
	"slices"
	"sync"
	"time"
)

const (
	// leaseSpan is the time for which turns are booked in advance, and in which they can be used. So a
	// fleet exceeds its limit by at most the turns of 10 ms.
	leaseSpan = 10 * time.Millisecond
	leaseRate = 1000 // turns per second above which turns are leased
	maxLease  = 100  // turns at once: with more, the round trips saved are few

	// trusted is the time for which an answer of Redis justifies rejections. The fleet can only book
	// more turns in this time, so they stay right, unless the key is deleted.
	trusted = time.Second
)

// turns holds the turns that a process has booked and not used, and the last answer of Redis. The
// turns were leased in advance, or belonged to canceled attempts.
type turns struct {
	mu        sync.Mutex // guards all below
	free      []turn     // in order
	lease     int        // the number of turns to book at a time; 0 = 1
	leased    time.Time  // when turns were last booked in advance
	given     bool       // a canceled attempt gave a turn after the last offer to Redis
	returning bool       // a goroutine offers turns to Redis

	tat  time.Time // when the bucket in Redis is full again, as of the last answer
	asOf time.Time // of that answer
}

// take returns a turn that is already booked and begins within longest, if there is one.
func (s *turns) take(b booking, now time.Time, longest time.Duration) (turn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for i, t := range s.free {
		switch {
		case t.at.Sub(now) > longest:
			return turn{}, false
		// A turn fits only attempts with the same number of tokens.
		case t.n == b.n:
			s.free = slices.Delete(s.free, i, i+1)
			return t, true
		}
	}
	return turn{}, false
}

// room returns the time until a turn, or 0 if it is unknown.
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
		s.lease-- // this process uses fewer turns than it leases
		return true
	})
}

// count returns how many turns to book: the number that this process uses in leaseSpan. The number
// doubles if the last turns were used within leaseSpan, and falls when turns expire.
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

// learn records the answer to a request for turns, and returns the first booked turn. The answer
// was true at some moment between begun and now. Turns are counted from now, so that none is too
// early. The arrival time is counted from begun, so that no rejection comes too late.
func (s *turns) learn(b booking, count int, a answer, begun, now time.Time) (first turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.booked {
		count = 0
	}
	tat := begun.Add(a.wait - b.cost + b.beyond() + time.Duration(count)*b.cost)
	// The answer with the later arrival time is the newer one, unless the key was deleted.
	if tat.After(s.tat) || now.Sub(s.asOf) > trusted {
		s.tat, s.asOf = tat, now
	}
	for i := range count {
		// Redis returns the arrival time after the last turn.
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

// insert adds a turn, so that free stays sorted by time. The caller holds mu.
func (s *turns) insert(t turn) {
	byTime := func(a, b turn) int { return a.at.Compare(b.at) }
	i, _ := slices.BinarySearchFunc(s.free, t, byTime)
	s.free = slices.Insert(s.free, i, t)
}

// give adds the turn of a canceled attempt. It returns true if the caller must start returnTurns,
// because no goroutine runs it.
func (s *turns) give(t turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(t)
	idle := !s.returning
	s.given, s.returning = true, true
	return idle
}

// offer removes and returns all turns, for an offer to Redis. It returns false if no turn was given
// since the last offer.
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

// keep puts back the offered turns that Redis has not taken.
func (s *turns) keep(kept []turn, taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken > 0 {
		s.tat, s.asOf = time.Time{}, time.Time{} // turns are earlier now, so the last answer is wrong
	}
	for _, t := range kept {
		s.insert(t)
	}
}
