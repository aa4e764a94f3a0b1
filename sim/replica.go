package sim

import "time"

// replica is one server: its workers and its queue.
type replica struct {
	workers int      // 0 = any number
	queue   int      // the most that may wait, as in Server
	busy    int      // workers that have attempts to serve;
	free    calendar // when each of them will have served the last one so far
	waiting times    // when those in the queue will be served
	inside  minHeap  // when those in the server will leave it, if Crowding matters
}

// newReplica returns a server. Without a limit on workers it needs no calendar for them.
func newReplica(workers, queue int, end time.Duration) replica {
	q := replica{workers: workers, queue: queue}
	if workers > 0 {
		q.free = newCalendar(end)
	}
	return q
}

// turn takes the worker that is free first, and returns when that is. It returns false if the queue
// is full.
func (q *replica) turn(now time.Duration) (time.Duration, bool) {
	// Any number is served at once, so nothing waits.
	if q.workers == 0 {
		return now, true
	}
	// Workers that have become free since the last attempt.
	for q.busy > 0 {
		if _, _, ok := q.free.pop(now + 1); !ok {
			break
		}
		q.busy--
	}
	if q.busy < q.workers {
		return now, true
	}
	if q.queue != 0 && q.queued(now) >= max(q.queue, 0) {
		return 0, false
	}
	// Attempts are served in order, so this one begins when the next worker is free.
	begin, _, ok := q.free.pop(never)
	if !ok {
		// No worker is free before the end of the run, and later events are not kept.
		begin = q.free.end
	}
	q.busy--
	q.waiting.push(begin)
	return begin, true
}

// occupy keeps the worker that turn has taken until that time.
func (q *replica) occupy(until time.Duration) {
	if q.workers > 0 {
		q.busy++
		q.free.push(until, 0)
	}
}

// queued is the number of attempts that wait.
func (q *replica) queued(now time.Duration) int {
	q.waiting.drop(now)
	return q.waiting.n
}

// crowd is the number of attempts in the server. Their heap grows with every attempt, so it is kept
// only if Crowding is set.
func (q *replica) crowd(now time.Duration) int {
	for len(q.inside) > 0 && time.Duration(q.inside[0]) <= now {
		q.inside.pop()
	}
	return len(q.inside)
}

// times is a queue of times that never decrease, in a ring. Attempts begin in the order in which
// they wait, so no heap is needed. The ring's length is a power of 2, so that a mask replaces the
// remainder.
type times struct {
	ring     []time.Duration // its length is a power of 2
	first, n int
}

func (q *times) push(t time.Duration) {
	if q.n == len(q.ring) {
		// The ring is unrolled, so that its first element is at index 0 again.
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
