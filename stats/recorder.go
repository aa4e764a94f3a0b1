// Package stats counts what policies do: calls, attempts, delays, the reasons why calls stopped,
// and the kinds of failures. A Recorder receives events and returns plain data, or a report for
// people:
//
//	var rec stats.Recorder
//	policy := &rebound.Policy{Name: "ocr", Observe: rec.Observe}
//	// … the batch …
//	rec.WriteReport(os.Stdout)
package stats

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/rejection"
)

const (
	// With more shards, snapshots would take more locks; with fewer, goroutines would meet more often.
	shards     = 8  // locks among which the goroutines spread
	recentSize = 16 // failures remembered
	maxGates   = 50 // that are counted by name, for each policy
)

// Recorder counts the calls of the policies whose Observe it is, for each policy name and in total.
// The zero Recorder is ready to use. Any number of policies and goroutines may share one. It must
// not be copied after first use.
//
// It needs little memory, however many calls there are: some hundred bytes for each policy name,
// and the last 16 failures, whose errors it keeps reachable.
type Recorder struct {
	shards [shards]shard
	free   sync.Pool     // of *shard, so that a processor comes back to the one it has in its cache
	next   atomic.Uint32 // shard for an event that finds none free
}

// shard is a part of a Recorder. An event goes to any one of them, and a snapshot adds them up. So
// goroutines that finish at the same time rarely wait for the same lock.
type shard struct {
	mu       sync.Mutex // guards all below
	policies map[string]*counts
	recent   []failure // a ring once it is full
	oldest   int       // in recent
	_        [64]byte  // no cache line serves two shards
}

// failure is a GaveUp event and its time, since events have none.
type failure struct {
	at    time.Time
	event rebound.Event
}

// Observe counts one event. Use it as [rebound.Policy.Observe], or as a part of it. It takes well
// under a microsecond and does no I/O. It allocates only for a policy, a reason or a kind of fault
// that is new.
func (r *Recorder) Observe(_ context.Context, e rebound.Event) {
	var now time.Time
	// The clock is read before the lock is taken, and for failures alone: successes need no time.
	if e.Kind == rebound.GaveUp {
		now = time.Now()
	}
	// A pool is empty after a garbage collection, and at first: then shards are taken in turn.
	s, ok := r.free.Get().(*shard)
	if !ok {
		s = &r.shards[r.next.Add(1)%shards]
	}
	s.mu.Lock()
	s.policy(e.Policy).add(e)
	if e.Kind == rebound.GaveUp {
		s.remember(failure{now, e})
	}
	s.mu.Unlock()
	r.free.Put(s)
}

// policy returns the named policy's counts. The caller holds s.mu. The map is made with the first
// event, as the zero Recorder is ready.
func (s *shard) policy(name string) *counts {
	c := s.policies[name]
	if c == nil {
		if s.policies == nil {
			s.policies = make(map[string]*counts)
		}
		c = newCounts()
		s.policies[name] = c
	}
	return c
}

// remember keeps f in place of the oldest failure. The caller holds s.mu. Each shard keeps as many
// as a snapshot shows, as the last failures may all have gone to one shard.
func (s *shard) remember(f failure) {
	if len(s.recent) < recentSize {
		s.recent = append(s.recent, f)
		return
	}
	s.recent[s.oldest] = f
	s.oldest = (s.oldest + 1) % recentSize
}

// Reset forgets everything. A call that is under way is counted when it ends, with all its
// attempts; its waits so far are lost.
func (r *Recorder) Reset() {
	r.lock()
	defer r.unlock()
	for i := range r.shards {
		s := &r.shards[i]
		s.policies, s.recent, s.oldest = nil, nil, 0
	}
}

// lock stops the clock: what is read until unlock is the state of one moment. The order is always
// the same, and Observe holds one lock at a time, so there is no deadlock.
func (r *Recorder) lock() {
	for i := range r.shards {
		r.shards[i].mu.Lock()
	}
}

func (r *Recorder) unlock() {
	for i := range r.shards {
		r.shards[i].mu.Unlock()
	}
}

const lastRow = 10 // the row of the distribution for ten attempts and more

// counts are the sums for one policy, or of several.
type counts struct {
	succeeded, failed       int64
	attempts, waits         int64
	answered, unanswered    int64 // fallbacks that succeeded, that failed
	delay, elapsed, longest time.Duration
	rows                    [lastRow + 1]int64 // calls that made 0, 1, 2, … attempts
	stops                   map[rebound.Reason]int64
	faults                  map[fault.Kind]int64
	rejections              map[rejection.Gate]rejected
}

// rejected is the calls that a gate ended, and how many of them made no attempt.
type rejected struct{ calls, unattempted int64 }

// newCounts makes the maps at once, as a nil map cannot be written to.
func newCounts() *counts {
	return &counts{
		stops: make(map[rebound.Reason]int64), faults: make(map[fault.Kind]int64),
		rejections: make(map[rejection.Gate]rejected),
	}
}

// add counts one event. Delays and failures count as they happen; all else counts when the call
// ends, so that rates are of complete calls.
func (c *counts) add(e rebound.Event) {
	switch e.Kind {
	case rebound.Retrying:
		c.waits++
		c.delay = plus(c.delay, e.Delay)
		c.faults[e.Fault.Kind]++
	case rebound.Succeeded:
		c.succeeded++
		c.end(e)
	case rebound.GaveUp:
		c.failed++
		c.stops[e.Reason]++
		// A call may be rejected before its first attempt or after a failed one. Only the first kind put
		// no load on the service.
		if gate, ok := rejection.By(e); ok {
			r := rejected{calls: 1}
			if e.Attempt <= 0 {
				r.unattempted = 1
			}
			c.reject(gate, r)
		}
		// The failure of an announced retry was counted with the retry; a call without attempts has none.
		if e.Attempt > 0 && !e.Announced {
			c.faults[e.Fault.Kind]++
		}
		c.end(e)
	case rebound.FellBack:
		// The call counted as failed with its GaveUp, and stays so: the service did not answer it.
		if e.Err == nil {
			c.answered++
		} else {
			c.unanswered++
		}
	}
}

// reject counts calls that gate ended. A program may have a gate for each host or tenant: those
// beyond the first maxGates are counted by kind.
func (c *counts) reject(gate rejection.Gate, more rejected) {
	if _, known := c.rejections[gate]; !known && len(c.rejections) >= maxGates {
		gate.Name = ""
	}
	r := c.rejections[gate]
	c.rejections[gate] = rejected{r.calls + more.calls, r.unattempted + more.unattempted}
}

// end counts what the last event of a call says about the whole call.
func (c *counts) end(e rebound.Event) {
	c.elapsed = plus(c.elapsed, e.Elapsed)
	c.longest = max(c.longest, e.Elapsed)
	made := max(e.Attempt, 0)
	c.attempts += int64(made)
	c.rows[min(made, lastRow)]++
}

// merge adds o to c. It adds to maps that c already has, so c must be from newCounts.
func (c *counts) merge(o *counts) {
	c.succeeded += o.succeeded
	c.failed += o.failed
	c.attempts += o.attempts
	c.waits += o.waits
	c.answered += o.answered
	c.unanswered += o.unanswered
	c.delay = plus(c.delay, o.delay)
	c.elapsed = plus(c.elapsed, o.elapsed)
	c.longest = max(c.longest, o.longest)
	for i, n := range o.rows {
		c.rows[i] += n
	}
	for reason, n := range o.stops {
		c.stops[reason] += n
	}
	for kind, n := range o.faults {
		c.faults[kind] += n
	}
	for gate, r := range o.rejections {
		c.reject(gate, r)
	}
}

// plus adds d to sum, which stays at the longest duration once it is there.
func plus(sum, d time.Duration) time.Duration {
	// A delay may be as long as a Duration can be, and a negative total would be worse than a wrong
	// one.
	if d > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + max(d, 0)
}
