package batch

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// queue gives rows to the workers: those of the input in order, then those that were put off. Of a
// row that was put off it keeps its place in the input, and not its content.
type queue struct {
	b    *batch
	held func(rows.Row) // is given rows in doubt that must not be sent

	mu        sync.Mutex
	changed   chan struct{} // is closed when what follows changes
	fed       bool          // the input is through
	active    int           // rows that workers have
	off       deferrals
	notBefore time.Time // is when the next row may be sent

	rows chan job
	room chan struct{} // has an element once there is room in rows again

	once  sync.Once
	first chan struct{} // is closed when the first row is through, or all are with the workers
}

// deferral is a row that was put off.
type deferral struct {
	at           int64 // of the row in the input
	lost         money.Amount
	pause        time.Duration
	due          time.Time
	attempts     int32
	again, doubt bool
}

func newQueue(b *batch, held func(rows.Row)) *queue {
	return &queue{b: b, held: held, rows: make(chan job, ahead), room: make(chan struct{}, 1),
		changed: make(chan struct{}), first: make(chan struct{})}
}

// The input is read ahead by some rows, unless they are long: a reader that is woken for each row
// costs more than the row.
const (
	ahead      = 64      // rows
	aheadBytes = 4 << 20 // of their bodies, about
)

// offer waits for room, and puts a row there.
func (q *queue) offer(ctx context.Context, j job) error {
	for most := min(ahead-1, aheadBytes/(len(j.row.Body)+1)); len(q.rows) > most; {
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	q.rows <- j
	return ctx.Err()
}

// take returns a row that was read ahead. The caller holds mu.
func (q *queue) take() (j job, ok bool) {
	select {
	case j = <-q.rows:
		q.taken()
		return j, true
	default:
		return j, false
	}
}

// taken counts a row that a worker has. The caller holds mu.
func (q *queue) taken() {
	q.active++
	if len(q.rows) <= ahead/2 {
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
}

// feed reads the input and offers its rows to next. It ends with the context.
func (q *queue) feed(ctx context.Context) {
	defer q.once.Do(func() { close(q.first) })
	defer q.change(func() { q.fed = true })
	n := q.b.survey.Table.Count()
	var skip func(id string) bool
	switch {
	case n[store.Pending]+n[store.InDoubt] == 0:
		return
	case n[store.Done]+n[store.Failed] > 0:
		skip = q.b.ended
	}
	pending := 0
	err := q.b.in.ScanBut(skip, func(_ int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		r.Key.ID = q.b.key.Hash(r.ID)
		i, known := q.b.survey.Table.Find(r.Key.ID)
		if !known {
			return rows.ErrChanged
		}
		j := job{row: r}
		state := q.b.survey.Table.State(i)
		if !q.b.drawn(state, &pending) {
			return nil
		}
		switch q.b.step(r, state) {
		case leave:
			return nil
		case hold:
			q.held(r)
			return nil
		}
		if state == store.InDoubt {
			j.again, j.doubt, j.lost = true, true, q.b.before.Reserved[r.Key.ID]
		}
		return q.offer(ctx, j)
	})
	if err != nil && ctx.Err() == nil {
		q.b.halt.fail(err)
	}
}

// ended reports whether a row had ended before this run.
func (b *batch) ended(id string) bool {
	i, known := b.survey.Table.Find(b.key.Hash(id))
	return known && b.survey.Table.State(i) >= store.Done
}

// change makes a change, and wakes the workers that wait for it. While the input is not through
// they wait for its rows alone.
func (q *queue) change(fn func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fn()
	if q.fed {
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// next returns a row, or false if there are none and will be none.
func (q *queue) next(ctx context.Context) (job, bool) {
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
			return job{}, false
		}
		var timer <-chan time.Time
		if due > 0 {
			timer = time.After(due)
		}
		select {
		case j := <-q.rows:
			q.mu.Lock()
			q.taken()
			q.mu.Unlock()
			return j, true
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return job{}, false
		}
	}
}

// again reads a row that was put off.
func (q *queue) again(d deferral) (job, bool) {
	r, err := q.b.in.Row(d.at, q.b.key)
	if err != nil {
		q.b.halt.fail(err)
		return job{}, false
	}
	return job{row: r, attempts: int(d.attempts), pause: d.pause, again: d.again, doubt: d.doubt,
		lost: d.lost}, true
}

// ended is called when a worker is done with a row.
func (q *queue) ended() {
	q.once.Do(func() { close(q.first) })
	q.change(func() { q.active-- })
}

// awaitFirst waits until one row is through, or there will be none.
func (q *queue) awaitFirst(ctx context.Context) {
	select {
	case <-q.first:
	case <-ctx.Done():
	}
}

// putOff sends the row again later. Each pause is twice as long as the one before.
func (q *queue) putOff(j job, v verdict) {
	d := deferral{
		at: j.row.At, attempts: int32(j.attempts + v.attempts), lost: v.cost,
		pause: min(max(2*j.pause, firstPause), longestPause),
		again: j.again && v.attempts == 0, doubt: v.doubt,
	}
	d.due = time.Now().Add(d.pause)
	q.change(func() { heap.Push(&q.off, d) })
}

// putOffNow is how many rows wait to be sent again.
func (q *queue) putOffNow() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.off)
}

// deferrals are ordered by the time at which they are due.
type deferrals []deferral

func (d deferrals) Len() int           { return len(d) }
func (d deferrals) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d deferrals) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deferrals) Push(x any)        { *d = append(*d, x.(deferral)) }
func (d *deferrals) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// hold keeps rows back for a time: until a breaker's cooldown is over.
func (q *queue) hold(wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(wait); until.After(q.notBefore) {
		q.notBefore = until
	}
}

// rest waits until rows are no longer kept back.
func (q *queue) rest(ctx context.Context) {
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
