package limit

import (
	"math"

	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/gcra"
)

// member is what a Group requires of its limits.
type member[L any] interface {
	Validate() error
	Snapshot() Snapshot
	// follow copies the template's fields and adds the key to the name. A limit that sleeps calls wake
	// before it has anything to keep again.
	follow(template *L, key string, wake func())
	// sleep reports whether the limit may be forgotten: nothing is under way and, unless idle, a new
	// limit would admit as much.
	sleep(idle bool) bool
}

// keyName is the name of the limit of a key.
func keyName(name, key string) string {
	if name == "" {
		return key
	}
	return name + "/" + key
}

func (c *Concurrency) follow(t *Concurrency, key string, _ func()) {
	c.Name, c.Max, c.Queue, c.Wait = keyName(t.Name, key), t.Max, t.Queue, t.Wait
}

// sleep reports whether nothing is under way. A goroutine with a permit also holds the limit, which
// therefore needs no wake.
func (c *Concurrency) sleep(bool) bool { return c.permits.word.Load() == 0 }

func (a *Adaptive) follow(t *Adaptive, key string, _ func()) {
	a.Name, a.Initial, a.Min, a.Max = keyName(t.Name, key), t.Initial, t.Min, t.Max
	a.Queue, a.Wait, a.Target, a.OnChange = t.Queue, t.Wait, t.Target, t.OnChange
	a.SlowStart = t.SlowStart
}

// sleep reports whether nothing is under way and, unless idle, the limit is the initial one.
func (a *Adaptive) sleep(idle bool) bool {
	c := a.config()
	return a.permits.word.Load() == 0 && (idle || a.most() == new(adaptive.Limit).Now(&c))
}

func (t *Throttle) follow(from *Throttle, key string, _ func()) {
	t.Name, t.K = keyName(from.Name, key), from.K
	t.Window, t.MinCalls = from.Window, from.MinCalls
}

// sleep reports whether the Throttle is idle, or rejects nothing.
func (t *Throttle) sleep(idle bool) bool { return idle || !t.Busy() }

func (r *Rate) follow(t *Rate, key string, wake func()) {
	r.Name, r.N, r.Per, r.Burst, r.Wait = keyName(t.Name, key), t.N, t.Per, t.Burst, t.Wait
	r.wake = wake
}

// asleep is the word of a Rate that sleeps. It is later than any turn, so an attempt that takes a
// token always gets to the queue, where it wakes the Rate.
const asleep = math.MaxInt64 - int64(gcra.Most)

// sleep puts the Rate to sleep if its bucket is full, and reports whether it sleeps.
func (r *Rate) sleep(bool) bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	old := r.tat.Load()
	return !r.busy() && (old == asleep || r.tat.CompareAndSwap(old, asleep))
}

// busy is Busy. The caller holds the queue's mu.
func (r *Rate) busy() bool {
	now := clock.Now()
	a := r.known.Load()
	return a != nil && a.until > now || r.queue.waiters.Len() > 0 || int64(r.word()) > int64(now)
}

// awake ends sleep. The caller holds the queue's mu.
func (r *Rate) awake() {
	if r.tat.Load() == asleep {
		r.wake()
		r.tat.Store(0)
	}
}

// word returns the Tat. A Rate that sleeps has a full bucket.
func (r *Rate) word() gcra.Tat {
	if tat := r.tat.Load(); tat != asleep {
		return gcra.Tat(tat)
	}
	return 0
}
