// Package queue hands out the rows of a batch: first those of the input in order, then those that
// were put off.
package queue

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

// Job is a row to send, with its history.
type Job struct {
	Row      rows.Row
	Attempts int           // in earlier rounds
	Pause    time.Duration // before this round
	Again    bool          // an earlier process sent the row, and this one has not sent it yet
	Doubt    bool          // the row is marked as sent, and the server may have acted on it
	Lost     money.Amount  // the cost, at most, of the earlier attempts
	History  outage.History
}

// The pause of a row that was put off doubles between these bounds.
const (
	FirstPause   = time.Second
	LongestPause = 30 * time.Second
)

// PauseAfter returns the pause of a row of which only the number of attempts is known. It doubles
// with every three attempts.
func PauseAfter(attempts int) time.Duration {
	return min(FirstPause<<min(attempts/3, 10), LongestPause)
}

// Queue hands out jobs. To save memory, it keeps only the offset of a row that was put off, and
// reads the row again later.
type Queue struct {
	read func(at int64) (rows.Row, bool)
	rest outage.Rest

	mu      sync.Mutex
	changed chan struct{} // is closed and replaced when fed, active or off changes
	fed     bool          // the input has been read to its end
	active  int           // jobs that workers have
	off     deferrals

	jobs chan Job
	room chan struct{} // has an element when jobs has room again

	once  sync.Once
	first chan struct{} // is closed when the first job has ended, or the input is read
}

// New returns a Queue. It calls read to read the row at an offset of the input again. If read
// returns false, so does Next.
func New(read func(at int64) (rows.Row, bool)) *Queue {
	return &Queue{read: read, jobs: make(chan Job, ahead), room: make(chan struct{}, 1),
		changed: make(chan struct{}), first: make(chan struct{})}
}

// Some rows of the input are read ahead, unless they are long. To wake the reader for each row
// would cost more than to read the row.
const (
	ahead      = 64      // rows
	aheadBytes = 4 << 20 // of their bodies, roughly
)

// Offer adds a job, as soon as there is room.
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

// taken counts a job that a worker has taken, and wakes Offer. The caller holds mu.
func (q *Queue) taken() {
	q.active++
	if len(q.jobs) <= ahead/2 {
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
}

// Fed must be called after the last Offer.
func (q *Queue) Fed() {
	q.change(func() { q.fed = true })
	q.start()
}

// start ends AwaitFirst.
func (q *Queue) start() { q.once.Do(func() { close(q.first) }) }

// change makes a change, and wakes the workers that wait for one. Until the input has been read,
// workers wait only for its rows.
func (q *Queue) change(fn func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fn()
	if q.fed {
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// Next returns a job. It returns false if no job is left, or ctx has ended.
func (q *Queue) Next(ctx context.Context) (Job, bool) {
	for {
		q.rest.Wait(ctx)
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
			if idle := active == 0; idle { // nothing else is left to do, so half of the pause is enough
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

// again makes the job of a row that was put off.
func (q *Queue) again(d deferral) (j Job, ok bool) {
	r, ok := q.read(d.at)
	return Job{Row: r, Attempts: int(d.attempts), Pause: d.pause, Again: d.again, Doubt: d.doubt,
		Lost: d.lost, History: d.history}, ok
}

// Ended must be called when a worker has finished a job.
func (q *Queue) Ended() {
	q.start()
	q.change(func() { q.active-- })
}

// AwaitFirst waits until a job has ended, or all input has been offered.
func (q *Queue) AwaitFirst(ctx context.Context) {
	select {
	case <-q.first:
	case <-ctx.Done():
	}
}

// PutOff hands a job out again after a pause. Each pause is twice as long as the one before.
func (q *Queue) PutOff(j Job) {
	d := deferral{
		at: j.Row.At, attempts: int32(j.Attempts), lost: j.Lost, again: j.Again, doubt: j.Doubt,
		history: j.History, pause: min(max(2*j.Pause, FirstPause), LongestPause),
	}
	d.due = time.Now().Add(d.pause)
	q.change(func() { heap.Push(&q.off, d) })
}

// Deferred returns how many rows are put off.
func (q *Queue) Deferred() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.off)
}

// Hold delays all jobs, for example until the cooldown of a breaker is over.
func (q *Queue) Hold(wait time.Duration) { q.rest.Extend(wait) }
