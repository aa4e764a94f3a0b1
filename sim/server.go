package sim

import (
	"math"
	"time"
)

// never is a time after every run's end.
const never = time.Duration(math.MaxInt64)

// server computes the time and the kind of an answer when the attempt arrives. Workers take
// attempts in order, so the next free one serves the next attempt, and no later event changes that.
type server struct {
	Server
	service dist
	busy    int      // workers that have attempts to serve;
	free    calendar // when each of them will have served the last one so far
	waiting times    // when those in the queue will be served
	inside  minHeap  // when those in the server will leave it, if Crowding matters
	limiter limiter
	after   time.Duration // that the limiter asks the last attempt for

	active []int         // the windows now,
	until  time.Duration // and until when

	hop     dist // between client and row
	version uint32
}

func newServer(s Server, end time.Duration) server {
	return server{
		Server:  s,
		service: s.Service.ready(),
		free:    newCalendar(end),
		limiter: newLimiter(s.Limit),
		hop:     s.Row.ready(),
	}
}

// arrive takes in an attempt of so many tokens whose caller gives up at expires, and returns how
// and when it will be answered; never, if it will not be. The whole RoundTrip is added to the
// answer: an attempt arrives when it is sent.
func (s *server) arrive(
	now, expires time.Duration, tokens int64, r *random,
) (cause, time.Duration) {
	if now >= s.until {
		s.look(now)
	}
	fails := false
	for _, i := range s.active {
		w := &s.Windows[i]
		switch {
		case r.chance(w.Refuse):
			return refused, now + s.RoundTrip
		case r.chance(w.Throttle):
			return throttled + cause(i), now + s.RoundTrip
		// It takes no worker, as it is never served.
		case r.chance(w.BlackHole):
			return expired, never
		}
		fails = fails || r.chance(w.Fail)
	}
	if s.Limit.on() {
		var ok bool
		if s.after, ok = s.limiter.admit(now, tokens); !ok {
			return limited, now + s.RoundTrip
		}
	}
	begin, ok := s.turn(now)
	if !ok {
		return full, now + s.RoundTrip
	}
	// The worker finds that the caller has gone, and is free again at once.
	if s.DropExpired && begin >= expires {
		s.occupy(begin)
		return expired, never
	}
	done := begin + s.work(now, begin, r)
	s.occupy(done)
	if fails {
		return failed, done + s.RoundTrip
	}
	return served, done + s.RoundTrip
}

// turn takes the worker that is free first, and returns when that is; false: the queue is full.
func (s *server) turn(now time.Duration) (time.Duration, bool) {
	if s.Workers == 0 {
		return now, true
	}
	for s.busy > 0 {
		if _, _, ok := s.free.pop(now + 1); !ok {
			break
		}
		s.busy--
	}
	if s.busy < s.Workers {
		return now, true
	}
	if s.Queue != 0 && s.queue(now) >= max(s.Queue, 0) {
		return 0, false
	}
	// Attempts are served in order: this one begins when the next worker is free.
	begin, _, ok := s.free.pop(never)
	if !ok {
		// No worker is free before the run ends, and events past the end are not kept.
		begin = s.free.end
	}
	s.busy--
	s.waiting.push(begin)
	return begin, true
}

// occupy keeps the worker that was taken until some time.
func (s *server) occupy(until time.Duration) {
	if s.Workers > 0 {
		s.busy++
		s.free.push(until, 0)
	}
}

// work is how long an attempt takes that comes now and is begun later. A window slows what begins
// in it, even if the attempt came before: a queue that was filled in time is served slowly, too.
func (s *server) work(now, begin time.Duration, r *random) time.Duration {
	d := s.service.draw(r)
	for i := range s.Windows {
		if w := &s.Windows[i]; w.Slow > 0 && w.From <= begin && begin < w.To {
			d = nanos(float64(d) * w.Slow)
		}
	}
	// The heap of those inside grows with every attempt. It is kept only where it matters.
	if s.Crowding > 0 {
		for len(s.inside) > 0 && time.Duration(s.inside[0]) <= now {
			s.inside.pop()
		}
		d = nanos(float64(d) * (1 + float64(s.Crowding*float64(len(s.inside)))))
		s.inside.push(uint64(begin + d))
	}
	return d
}

// queue is the number of attempts that wait.
func (s *server) queue(now time.Duration) int {
	s.waiting.drop(now)
	return s.waiting.n
}

// look finds the windows that now lies in, and the end of that state. It runs at the edges of
// windows alone: between them an attempt costs one comparison.
func (s *server) look(now time.Duration) {
	s.active, s.until = s.active[:0], never
	for i := range s.Windows {
		w := &s.Windows[i]
		switch {
		case now < w.From:
			s.until = min(s.until, w.From)
		case now < w.To:
			s.active = append(s.active, i)
			s.until = min(s.until, w.To)
		}
	}
}

// times is a queue of times that never decrease, in a ring. Attempts begin in the order in which
// they wait, so no heap is needed. A power of 2 lets a mask do for the remainder.
type times struct {
	ring     []time.Duration // its length is a power of 2
	first, n int
}

func (q *times) push(t time.Duration) {
	if q.n == len(q.ring) {
		bigger := make([]time.Duration, max(16, 2*q.n))
		n := copy(bigger, q.ring[q.first:])
		copy(bigger[n:], q.ring[:q.first])
		q.ring, q.first = bigger, 0
	}
	q.ring[(q.first+q.n)&(len(q.ring)-1)] = t
	q.n++
}

// drop removes the times that have come.
func (q *times) drop(now time.Duration) {
	for q.n > 0 && q.ring[q.first] <= now {
		q.first = (q.first + 1) & (len(q.ring) - 1)
		q.n--
	}
}
