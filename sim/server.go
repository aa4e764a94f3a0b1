package sim

import "time"

// extra is what an entity needs in some scenarios only. It is apart, so that a plain scenario with
// a million clients stays small.
type extra struct {
	tokens   int64         // that each attempt of the call uses
	poisoned bool          // every attempt of the call fails
	after    time.Duration // that the last answer asked for, if it was limited
	quota    quota         // as the last answer has it
}

// server computes how and when an attempt is answered at the moment when it arrives. Workers take
// attempts in order, so the next free worker serves the next attempt, and no later event changes
// that.
type server struct {
	Server
	service  dist
	replicas []replica
	most     int  // attempts in the memory of each; an unbounded queue may grow without an end
	overfull bool // there are more
	limiter  limiter

	active []int         // the windows now,
	until  time.Duration // and until when

	hop     dist // between client and row
	version uint32
}

// newServer divides the memory for waiting attempts among the replicas, so that a run has the same
// bound for any number.
func newServer(s Server, end time.Duration) server {
	x := server{
		Server:   s,
		service:  s.Service.ready(),
		replicas: make([]replica, s.Replicas),
		most:     maxQueue / s.Replicas,
		limiter:  newLimiter(s.Limit),
		hop:      s.Row.ready(),
	}
	for i := range x.replicas {
		x.replicas[i] = newReplica(s.Workers, s.Queue, end)
	}
	return x
}

// arrive takes an attempt at a replica, whose caller gives up at expires. It returns how and when
// the attempt will be answered; never, if it will not be. The whole RoundTrip is added to the
// answer, so an attempt arrives when it is sent.
func (s *server) arrive(
	replica int, now, expires time.Duration, own *extra, r *random,
) (cause, time.Duration) {
	if now >= s.until {
		s.look(now)
	}
	// Most of a run has no trouble.
	c, fails := served, false
	if len(s.active) > 0 {
		c, fails = s.trouble(replica, now, r)
	}
	switch {
	case c == expired:
		return c, never
	case c != served:
		return c, now + s.RoundTrip
	case s.Limit.on():
		// An attempt that is rejected here costs the server nothing.
		var ok bool
		own.after, ok = s.limiter.admit(now, own.tokens)
		own.quota = s.limiter.quota(now)
		if !ok {
			return limited, now + s.RoundTrip
		}
	}
	q := &s.replicas[replica]
	begin, ok := q.turn(now)
	if !ok {
		return full, now + s.RoundTrip
	}
	// Only a replica whose attempt waits can have a queue that is too long.
	if begin > now {
		s.overfull = s.overfull || q.waiting.n > s.most
	}
	// The caller has given up, so the worker is free again at once.
	if s.DropExpired && begin >= expires {
		q.occupy(begin)
		return expired, never
	}
	done := begin + s.work(replica, now, begin, r)
	q.occupy(done)
	if fails || own != nil && own.poisoned {
		return failed, done + s.RoundTrip
	}
	return served, done + s.RoundTrip
}

// trouble draws the effects of the windows on an attempt. The cause served means that no window
// prevents that it is served. An attempt that fails uses a worker, too.
func (s *server) trouble(replica int, now time.Duration, r *random) (c cause, fails bool) {
	// The first window that keeps the attempt from being served decides, and within it the first of
	// the ways.
	for _, i := range s.active {
		w := &s.Windows[i]
		if w.Replicas > 0 && replica >= w.Replicas {
			continue
		}
		// Within the window its trouble has full strength; after To it fades.
		k, own := 1.0, throttled+cause(i*windowCauses)
		if now >= w.To {
			k = w.strength(now)
		}
		switch {
		case r.chance(w.Refuse * k):
			return refused, false
		case r.chance(w.Throttle * k):
			return own, false
		case r.chance(w.Unavailable * k):
			return own + 1, false
		// It is never served, so it uses no worker.
		case r.chance(w.BlackHole * k):
			return expired, false
		}
		fails = fails || r.chance(w.Fail*k)
	}
	return served, fails
}

// work is the time to serve an attempt that arrives now and is begun later. A window slows down
// what begins in it, even if the attempt arrived before: a queue that was filled before the window
// is also served slowly.
func (s *server) work(replica int, now, begin time.Duration, r *random) time.Duration {
	d := s.service.draw(r)
	for i := range s.Windows {
		w := &s.Windows[i]
		if w.Slow > 0 && w.From <= begin && begin < w.end() &&
			(w.Replicas == 0 || replica < w.Replicas) {
			d = nanos(float64(d) * w.slowness(begin))
		}
	}
	// The others slow this attempt down, and it slows down those that come while it is inside.
	if s.Crowding > 0 {
		q := &s.replicas[replica]
		d = nanos(float64(d) * (1 + float64(s.Crowding*float64(q.crowd(now)))))
		q.inside.push(uint64(begin + d))
		s.overfull = s.overfull || len(q.inside) > s.most
	}
	return d
}

// queued is the number of attempts that wait, at all replicas.
func (s *server) queued(now time.Duration) (n int) {
	for i := range s.replicas {
		n += s.replicas[i].queued(now)
	}
	return n
}

// end is when the window's trouble has faded away.
func (w *Window) end() time.Duration { return w.To + w.Ramp }

// strength is the part of the window's trouble that is left, from 1 down to 0.
func (w *Window) strength(now time.Duration) float64 {
	if now < w.To {
		return 1
	}
	return 1 - float64(now-w.To)/float64(w.Ramp)
}

// slowness is how many times longer serving takes.
func (w *Window) slowness(now time.Duration) float64 {
	if now < w.To {
		return w.Slow
	}
	return 1 + float64((w.Slow-1)*w.strength(now))
}

// look finds the windows at now, and when that changes. It runs only at the edges of windows.
// Between them an attempt costs one comparison.
func (s *server) look(now time.Duration) {
	s.active, s.until = s.active[:0], never
	for i := range s.Windows {
		w := &s.Windows[i]
		switch {
		case now < w.From:
			s.until = min(s.until, w.From)
		case now < w.end():
			s.active = append(s.active, i)
			s.until = min(s.until, w.end())
		}
	}
}
