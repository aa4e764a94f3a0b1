package limit

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/rebound-go/rebound/internal/clock"
)

const (
	// Idle limits are released by time. Many keys are released earlier, because a server that keys
	// limits by tenant or address would otherwise keep them all for Idle.
	defaultIdle = 10 * time.Minute
	manyKeys    = 1024 // with fewer, no memory is freed early
)

// kinds are the limits that a [Group] holds.
type kinds interface {
	Concurrency | Rate | Adaptive | Throttle
}

// Group is a limit for each key, such as a host, a model or a tenant. The zero Group of a kind is
// ready to use, for example Group[string, Rate]. Goroutines may share a Group. It must not be
// copied once in use.
//
// All callers of For with the same key share one limit. A limit that is in use, has attempts under
// way or is in debt is never forgotten. Any other limit is forgotten when its key has not been used
// for Idle. If there are many keys, it is forgotten sooner, if a new limit would admit as much. A
// new limit counts its rejections from 0.
type Group[K comparable, L kinds] struct {
	// Template has the fields of every limit. A limit's name is the Template's Name, a slash and the
	// key; without a Name, it is the key alone.
	Template L

	// Idle is how long a limit is kept after the last For, at least. 0 = 10 min.
	Idle time.Duration

	limits sync.Map     // of K to *keyed[L]
	count  atomic.Int64 // of the map
	most   atomic.Int64 // the count at which memory is freed early; 0 = manyKeys
	swept  atomic.Int64 // when idle limits were last released
	mu     sync.Mutex   // held while limits are released
}

// keyed is the limit of one key.
type keyed[L any] struct {
	// kept is the limit, or nil if it may be forgotten. Then held, a weak pointer, stays valid only
	// while a caller still uses the limit.
	kept atomic.Pointer[L]
	held weak.Pointer[L]
	used atomic.Bool   // by For, since idle limits were last released
	last time.Duration // the last use that was recorded; Group.mu guards it
}

// get returns the limit, or nil if it is gone.
func (e *keyed[L]) get() *L {
	if l := e.kept.Load(); l != nil {
		return l
	}
	return e.held.Value()
}

// Validate returns an error that names the first invalid field, or nil.
func (g *Group[K, L]) Validate() error {
	if g.Idle < 0 {
		return invalid("Group", "", "Idle", g.Idle, "more than 0, or 0 for 10m0s")
	}
	return any(&g.Template).(member[L]).Validate()
}

// For returns the limit of a key, and makes it if there is none.
func (g *Group[K, L]) For(key K) *L {
	for {
		v, ok := g.limits.Load(key)
		if !ok {
			return g.add(key)
		}
		e := v.(*keyed[L])
		if !e.used.Load() {
			e.used.Store(true)
		}
		if l := e.kept.Load(); l != nil {
			return l
		}
		if l := e.held.Value(); l != nil {
			e.kept.Store(l)
			return l
		}
		g.drop(key, e)
	}
}

// All yields the state of every limit that the group holds, in no particular order. It first
// forgets the idle ones.
func (g *Group[K, L]) All() iter.Seq2[K, Snapshot] {
	return func(yield func(K, Snapshot) bool) {
		g.sweep(false)
		g.limits.Range(func(key, e any) bool {
			l := e.(*keyed[L]).get()
			return l == nil || yield(key.(K), any(l).(member[L]).Snapshot())
		})
	}
}

// add returns a new limit for a key, or the one that another goroutine has added in the meantime.
func (g *Group[K, L]) add(key K) *L {
	many := g.count.Load() >= max(g.most.Load(), manyKeys)
	if many || clock.Now()-time.Duration(g.swept.Load()) >= g.idle()/2 {
		g.sweep(many)
	}
	l := new(L)
	e := &keyed[L]{held: weak.Make(l), last: clock.Now()}
	e.kept.Store(l)
	any(l).(member[L]).follow(&g.Template, fmt.Sprint(key), func() { e.kept.Store(l) })
	g.count.Add(1)
	if _, loaded := g.limits.LoadOrStore(key, e); loaded {
		g.count.Add(-1)
		return g.For(key)
	}
	return l
}

// drop removes a limit from the map, unless another goroutine has done so.
func (g *Group[K, L]) drop(key K, e *keyed[L]) {
	if g.limits.CompareAndDelete(key, e) {
		g.count.Add(-1)
	}
}

// sweep forgets the limits that are idle. If there are many, it also forgets those that a new limit
// can replace. If another goroutine is doing so already, it returns at once.
func (g *Group[K, L]) sweep(many bool) {
	if !g.mu.TryLock() {
		return
	}
	defer g.mu.Unlock()
	now := clock.Now()
	g.swept.Store(int64(now))
	g.limits.Range(func(key, v any) bool {
		g.release(key.(K), v.(*keyed[L]), now, many)
		return true
	})
	// Some limits are in use, and some the garbage collector has not reached yet. Another sweep after
	// every new key would be slow and find little.
	left := g.count.Load()
	g.most.Store(left + max(left/2, manyKeys))
}

// release forgets a limit if it may be forgotten. If a caller still uses the limit, the weak
// pointer finds it again.
func (g *Group[K, L]) release(key K, e *keyed[L], now time.Duration, many bool) {
	l := e.get()
	if l == nil {
		g.drop(key, e)
		return
	}
	if e.used.Swap(false) {
		e.last = now
		return
	}
	idle := now-e.last >= g.idle()
	if !idle && !many {
		return
	}
	// kept is cleared before the limit sleeps. From then on the limit may wake and is kept again.
	e.kept.Store(nil)
	if !any(l).(member[L]).sleep(idle) {
		e.kept.Store(l)
	}
}

func (g *Group[K, L]) idle() time.Duration {
	if g.Idle <= 0 {
		return defaultIdle
	}
	return g.Idle
}
