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
	defaultIdle = 10 * time.Minute
	manyKeys    = 1024 // so many are remembered before memory is looked for
)

// kinds are the limits that a [Group] holds.
type kinds interface {
	Concurrency | Rate | Adaptive | Throttle
}

// Group is a limit for each key: for each host, model, tenant. The zero Group of a kind is ready,
// such as Group[string, Rate]. A Group may be shared by goroutines. It must not be copied once in
// use.
//
// A limit that is in use, or that has attempts under way or a debt, is never forgotten: all
// callers of For with its key share it. Any other is forgotten when its key has not been used for
// Idle. It is forgotten sooner if there are many keys and a new limit would admit as much. What was
// forgotten counts its rejections from 0 again.
type Group[K comparable, L kinds] struct {
	// Template has the fields of every limit. Its Name, a slash and the key make up the limit's
	// name. Without a Name, that is the key alone.
	Template L

	// Idle is how long a limit is remembered after the last For, at least. 0 = 10 min.
	Idle time.Duration

	limits sync.Map     // of K to *keyed[L]
	count  atomic.Int64 // of the map
	most   atomic.Int64 // the count from which on memory is looked for; 0 = manyKeys
	swept  atomic.Int64 // on the clock, when idle limits were last looked for
	mu     sync.Mutex   // held while a limit is looked for
}

// keyed is the limit of one key.
type keyed[L any] struct {
	// kept is the limit, or nil if it can be forgotten. The collector decides then whether anybody
	// still holds it.
	kept atomic.Pointer[L]
	held weak.Pointer[L]
	used atomic.Bool   // by For, since idle limits were last looked for
	last time.Duration // when a use was last seen; Group.mu guards it
}

// get returns the limit, or nil if it is gone.
func (e *keyed[L]) get() *L {
	if l := e.kept.Load(); l != nil {
		return l
	}
	return e.held.Value()
}

// Validate returns an error that names the first field that is invalid.
func (g *Group[K, L]) Validate() error {
	if g.Idle < 0 {
		return invalid("Group", "", "Idle", g.Idle, "more than 0, or 0 for 10m0s")
	}
	return any(&g.Template).(member[L]).Validate()
}

// For returns the limit of a key.
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

// All goes through the limits that the group remembers, in no particular order, and forgets the
// idle ones.
func (g *Group[K, L]) All() iter.Seq2[K, Snapshot] {
	return func(yield func(K, Snapshot) bool) {
		g.sweep(false)
		g.limits.Range(func(key, e any) bool {
			l := e.(*keyed[L]).get()
			return l == nil || yield(key.(K), any(l).(member[L]).Snapshot())
		})
	}
}

// add returns the limit of a key that has none, unless another goroutine has added one.
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

// drop takes a limit out of the map, unless that was done already.
func (g *Group[K, L]) drop(key K, e *keyed[L]) {
	if g.limits.CompareAndDelete(key, e) {
		g.count.Add(-1)
	}
}

// sweep forgets the limits that are idle, and those that a new one can replace if there are many.
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
	// Some are held, and some the collector has not come to yet. To look for memory after each new
	// key would then be slow.
	left := g.count.Load()
	g.most.Store(left + max(left/2, manyKeys))
}

// release leaves it to the collector whether the limit goes on, if it can be forgotten.
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
	// It is let go before it sleeps: from then on it may wake up, and is kept again.
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
