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
	// With more shards, snapshots would take more locks; with fewer, goroutines would more often wait
	// for the same lock.
	shards     = 8  // each with its own lock
	recentSize = 16 // failures remembered
	maxGates   = 50 // counted by name, for each policy
)

// Recorder counts the calls of policies, for each policy name and in total. The zero Recorder is
// ready to use. Set its Observe as the Observe of any number of policies. Goroutines may share a
// Recorder. It must not be copied after first use.
//
// Its memory does not grow with the number of calls. It keeps about 6 KB for each policy name, and
// the errors of up to 128 recent failures.
type Recorder struct {
	shards [shards]shard
	free   sync.Pool     // of *shard: a processor gets back the one that is in its cache
	next   atomic.Uint32 // shard for an event while free is empty
}

// shard is a part of a Recorder. Each event is counted in one shard, and a snapshot adds up all
// shards. So goroutines that finish at the same time rarely wait for the same lock.
type shard struct {
	mu       sync.Mutex // guards all below
	policies map[string]*counts
	recent   []failure // a ring once it is full
	oldest   int       // in recent
	_        [64]byte  // keeps two shards out of one cache line
}

// failure is a GaveUp event and its time, because events have no time.
type failure struct {
	at    time.Time
	event rebound.Event
}

// Observe counts one event. Use it as [rebound.Policy.Observe], or call it from there. It takes
// less than a microsecond and does no I/O. It allocates only for a new policy, reason, kind of
// failure or gate.
func (r *Recorder) Observe(_ context.Context, e rebound.Event) {
	var now time.Time
	// The clock is read before the lock is taken, and only for failures: no time of a success is kept.
	if e.Kind == rebound.GaveUp {
		now = time.Now()
	}
	// At first, and after garbage collections, the pool is empty. Then shards are taken in turn.
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

// policy returns the named policy's counts. The caller holds s.mu. The first event makes the map,
// so that the zero Recorder is ready to use.
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
// as a snapshot shows, because the last failures may all be in one shard.
func (s *shard) remember(f failure) {
	if len(s.recent) < recentSize {
		s.recent = append(s.recent, f)
		return
	}
	s.recent[s.oldest] = f
	s.oldest = (s.oldest + 1) % recentSize
}

// Reset removes all counts and failures. A call that is under way is counted when it ends, with all
// its attempts. Its delays, and the kinds of its failures, from before Reset are lost.
func (r *Recorder) Reset() {
	r.lock()
	defer r.unlock()
	for i := range r.shards {
		s := &r.shards[i]
		s.policies, s.recent, s.oldest = nil, nil, 0
	}
}

// lock locks all shards, so that a snapshot is the state of one moment. There is no deadlock: the
// order is always the same, and Observe holds one lock at a time.
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

// counts are the sums for one policy, or for several.
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

// rejected counts the calls that a gate ended, and those of them that made no attempt.
type rejected struct{ calls, unattempted int64 }

// newCounts makes the maps at once, because a nil map cannot be written to.
func newCounts() *counts {
	return &counts{
		stops: make(map[rebound.Reason]int64), faults: make(map[fault.Kind]int64),
		rejections: make(map[rejection.Gate]rejected),
	}
}

// add counts one event. Delays and failures of attempts are counted when they happen. All else is
// counted when the call ends, so that rates are those of complete calls.
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
		// The call stays counted as failed, by its GaveUp event: the service did not answer it.
		if e.Err == nil {
			c.answered++
		} else {
			c.unanswered++
		}
	}
}

// reject counts calls that gate ended. A program may have a gate for each host or tenant, so only
// the first maxGates are counted by name. The others are counted by kind.
func (c *counts) reject(gate rejection.Gate, more rejected) {
	if _, known := c.rejections[gate]; !known && len(c.rejections) >= maxGates {
		gate.Name = ""
	}
	r := c.rejections[gate]
	c.rejections[gate] = rejected{r.calls + more.calls, r.unattempted + more.unattempted}
}

// end counts the last event of a call, which reports on the whole call.
func (c *counts) end(e rebound.Event) {
	c.elapsed = plus(c.elapsed, e.Elapsed)
	c.longest = max(c.longest, e.Elapsed)
	made := max(e.Attempt, 0)
	c.attempts += int64(made)
	c.rows[min(made, lastRow)]++
}

// merge adds o to c, which must be from newCounts.
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

// plus adds d to sum. The result is at most the longest Duration.
func plus(sum, d time.Duration) time.Duration {
	// A single delay may be the longest Duration. Without the bound, the total would overflow and
	// become negative.
	if d > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + max(d, 0)
}
