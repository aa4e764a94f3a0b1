// Package queue hands out the rows of a batch: those of the input in order, then those that were
// put off.
package queue

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

// Job is a row to be sent, and what is known of it.
type Job struct {
	Row      rows.Row
	Attempts int           // of earlier rounds
	Pause    time.Duration // before this round
	Again    bool          // a process that is gone has sent it, and this one has not yet
	Doubt    bool          // it is marked as sent, and the server may have acted on it
	Lost     money.Amount  // that it may have cost before
}

// The pauses of a row that is put off.
const (
	FirstPause   = time.Second
	LongestPause = 30 * time.Second
)

// Queue hands out jobs. Of a row that was put off it keeps its place in the input, and not its
// content.
type Queue struct {
	read func(at int64) (rows.Row, bool)

	mu        sync.Mutex
	changed   chan struct{} // is closed when what follows changes
	fed       bool          // the input is through
	active    int           // jobs that workers have
	off       deferrals
	notBefore time.Time // is when the next job may be handed out

	jobs chan Job
	room chan struct{} // has an element once there is room in jobs again

	once  sync.Once
	first chan struct{} // is closed when the first job is through, or all are with the workers
}

// New returns a Queue that reads a row at an offset of the input again by read. If that returns
// false, there are no more jobs.
func New(read func(at int64) (rows.Row, bool)) *Queue {
	return &Queue{read: read, jobs: make(chan Job, ahead), room: make(chan struct{}, 1),
		changed: make(chan struct{}), first: make(chan struct{})}
}

// The input is read ahead by some rows, unless they are long: a reader that is woken for each row
// costs more than the row.
const (
	ahead      = 64      // rows
	aheadBytes = 4 << 20 // of their bodies, about
)

// Offer waits for room, and puts a job there.
func (q *Queue) Offer(ctx context.Context, j Job) error {
	for most := min(ahead-1, aheadBytes/(len(j.Row.Body)+1)); len(q.jobs) > most; {
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	q.jobs <- j
	return ctx.Err()
}

// take returns a job that was read ahead. The caller holds mu.
func (q *Queue) take() (j Job, ok bool) {
	select {
	case j = <-q.jobs:
		q.taken()
		return j, true
	default:
		return j, false
	}
}

// taken counts a job that a worker has. The caller holds mu.
func (q *Queue) taken() {
	q.active++
	if len(q.jobs) <= ahead/2 {
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
}

// Fed is called when the input is through.
func (q *Queue) Fed() {
	q.change(func() { q.fed = true })
	q.start()
}

// start ends AwaitFirst.
func (q *Queue) start() { q.once.Do(func() { close(q.first) }) }

// change makes a change, and wakes the workers that wait for it. While the input is not through
// they wait for its rows alone.
func (q *Queue) change(fn func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fn()
	if q.fed {
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// Next returns a job, or false if there are none and will be none.
func (q *Queue) Next(ctx context.Context) (Job, bool) {
	for {
		q.rest(ctx)
		q.mu.Lock()
		if ctx.Err() == nil {
			if j, ok := q.take(); ok {
				q.mu.Unlock()
				return j, true
			}
		}
		fed, active, changed := q.fed, q.active, q.changed
		var due time.Duration
		if fed && len(q.off) > 0 {
			first := q.off[0]
			due = time.Until(first.due)
			if idle := active == 0; idle { // nothing else is left: half of the pause is enough
				due -= first.pause / 2
			}
			if due <= 0 {
				heap.Pop(&q.off)
				q.active++
				q.mu.Unlock()
				return q.again(first)
			}
		}
		ended := fed && len(q.off) == 0 && active == 0
		q.mu.Unlock()
		if ended || ctx.Err() != nil {
			return Job{}, false
		}
		var timer <-chan time.Time
		if due > 0 {
			timer = time.After(due)
		}
		select {
		case j := <-q.jobs:
			q.mu.Lock()
			q.taken()
			q.mu.Unlock()
			return j, true
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return Job{}, false
		}
	}
}

// again reads a row that was put off.
func (q *Queue) again(d deferral) (j Job, ok bool) {
	r, ok := q.read(d.at)
	return Job{Row: r, Attempts: int(d.attempts), Pause: d.pause, Again: d.again, Doubt: d.doubt,
		Lost: d.lost}, ok
}

// Ended is called when a worker is done with a job.
func (q *Queue) Ended() {
	q.start()
	q.change(func() { q.active-- })
}

// AwaitFirst waits until one job is through, or there will be none.
func (q *Queue) AwaitFirst(ctx context.Context) {
	select {
	case <-q.first:
	case <-ctx.Done():
	}
}

// PutOff has a job handed out again later. Each pause is twice as long as the one before.
func (q *Queue) PutOff(j Job) {
	d := deferral{
		at: j.Row.At, attempts: int32(j.Attempts), lost: j.Lost, again: j.Again, doubt: j.Doubt,
		pause: min(max(2*j.Pause, FirstPause), LongestPause),
	}
	d.due = time.Now().Add(d.pause)
	q.change(func() { heap.Push(&q.off, d) })
}

// Deferred is how many rows wait to be sent again.
func (q *Queue) Deferred() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.off)
}

// Hold keeps jobs back for a time, such as until a breaker's cooldown is over.
func (q *Queue) Hold(wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(wait); until.After(q.notBefore) {
		q.notBefore = until
	}
}

// rest waits until jobs are no longer kept back.
func (q *Queue) rest(ctx context.Context) {
	for {
		q.mu.Lock()
		var wait time.Duration
		if !q.notBefore.IsZero() {
			wait = time.Until(q.notBefore)
		}
		q.mu.Unlock()
		if wait <= 0 {
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
