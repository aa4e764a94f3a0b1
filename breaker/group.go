package breaker

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

const defaultIdle = 10 * time.Minute

// Group is a breaker for each key, such as a host, a model or a shard. The zero Group is ready to
// use. Goroutines may share it. It must not be copied.
//
// It uses as little memory as it can. Without Rate and SlowRate, a key without failures takes no
// memory at all. A closed breaker is forgotten, along with its failures, when its key has not been
// used for Idle. A breaker that is open, half-open or forced is never forgotten. If the key of such
// a breaker will not be used again, call [Keyed.Reset].
type Group[K comparable] struct {
	// Template configures every breaker. A breaker's name is the Template's Name, a slash and the key;
	// without a Name, it is the key alone. A key's String method must not use the group.
	Template Breaker

	// Idle is how long a closed breaker is kept after its last use, at least. If the template's Window
	// is longer, Idle is the Window. Memory is freed when new keys fail, and by All. 0 = 10 min.
	Idle time.Duration

	breakers sync.Map     // of K to *shared
	live     atomic.Int64 // at least as many as are in the map: 0 saves a healthy key 4.5 of 9 ns

	// Generations are numbered across the group. So a pass for a key without a breaker holds the
	// group's last generation. It shows whether the pass is older than a breaker that the key gets
	// later. Breakers begin with floor, the newest generation that was forgotten.
	seq, floor atomic.Uint32
	swept      atomic.Int64 // when idle breakers were last forgotten
}

// Validate returns an error that names the first invalid field, as [Breaker.Validate] does, or nil.
func (g *Group[K]) Validate() error {
	if g.Idle < 0 {
		return g.Template.wrong("Idle", g.Idle, "0 (for 10m0s) or more")
	}
	return g.Template.Validate()
}

// For returns the breaker of a key. It costs nothing, so it need not be kept.
func (g *Group[K]) For(key K) Keyed[K] { return Keyed[K]{g, key} }

// All yields the state of every breaker that the group holds, in no particular order. It first
// forgets the idle ones.
func (g *Group[K]) All() iter.Seq2[K, Snapshot] {
	return func(yield func(K, Snapshot) bool) {
		g.sweep(clock.Now())
		g.breakers.Range(func(key, c any) bool {
			k := key.(K)
			return yield(k, c.(*shared).snapshot(g.For(k).owner(g.Template.config())))
		})
	}
}

// find returns nil for a key without a breaker.
func (g *Group[K]) find(key K) *shared {
	if g.live.Load() == 0 {
		return nil
	}
	if c, ok := g.breakers.Load(key); ok {
		return c.(*shared)
	}
	return nil
}

// use calls f with the shared of a key, until f finds one that is alive. If there is none, it adds
// one.
func (g *Group[K]) use(key K, f func(*shared) bool) {
	for {
		c := g.find(key)
		if c == nil {
			c = g.add(key)
		}
		if f(c) {
			return
		}
		g.drop(key, c)
	}
}

func (g *Group[K]) add(key K) *shared {
	g.sweepSometimes()
	c := new(shared)
	c.word.Store(uint64(circuit.Word(0).Numbered(g.floor.Load())))
	// It is counted before it is published. Otherwise a goroutine could find the breaker while live is
	// 0.
	g.live.Add(1)
	if old, loaded := g.breakers.LoadOrStore(key, c); loaded {
		g.live.Add(-1)
		return old.(*shared)
	}
	return c
}

// drop removes a dead shared from the map, unless another goroutine has done so.
func (g *Group[K]) drop(key K, c *shared) {
	if g.breakers.CompareAndDelete(key, c) {
		g.live.Add(-1)
	}
}

func (g *Group[K]) sweepSometimes() {
	now, last := clock.Now(), g.swept.Load()
	if now-time.Duration(last) >= g.idle()/2 && g.swept.CompareAndSwap(last, int64(now)) {
		g.sweep(now)
	}
}

func (g *Group[K]) sweep(now time.Duration) {
	g.breakers.Range(func(key, c any) bool {
		g.retire(key.(K), c.(*shared), now-g.idle())
		return true
	})
}

// retire forgets the shared of a key, if it may be forgotten.
func (g *Group[K]) retire(key K, c *shared, before time.Duration) {
	if gen, ok := c.retire(g.Template.config(), before); ok {
		g.raise(gen)
		g.drop(key, c)
	}
}

// raise lifts floor to gen. The difference is signed, because generations wrap around.
func (g *Group[K]) raise(gen uint32) {
	for {
		old := g.floor.Load()
		if int32(gen-old) <= 0 || g.floor.CompareAndSwap(old, gen) {
			return
		}
	}
}

func (g *Group[K]) idle() time.Duration {
	d := g.Idle
	if d <= 0 {
		d = defaultIdle
	}
	if g.Template.config().Windowed() {
		d = max(d, g.Template.config().Width*circuit.Buckets)
	}
	return d
}

// Keyed is the breaker of one key of a [Group]. Its methods are those of [Breaker].
type Keyed[K comparable] struct {
	group *Group[K]
	key   K
}

// Enter is [Breaker.Enter] for the key.
func (k Keyed[K]) Enter(context.Context) (gate.Pass, error) {
	g := k.group
	unknown := circuit.Word(0).Numbered(g.seq.Load()) // loaded before the map: see Group.seq
	if c := g.find(k.key); c != nil {
		return c.enter(k.owner(k.config()))
	}
	if g.Template.config().Timed() {
		return k.config().Pass(unknown, clock.Now()), nil
	}
	return k.config().Pass(unknown, 0), nil
}

// Refusal is [Breaker.Refusal] for the key.
func (k Keyed[K]) Refusal(d time.Duration) error {
	if c := k.group.find(k.key); c != nil {
		return c.foresee(k.config(), d)
	}
	return nil
}

// Leave is [Breaker.Leave] for the key.
func (k Keyed[K]) Leave(p gate.Pass, o gate.Outcome) {
	g := k.group
	c := g.find(k.key)
	counted := g.Template.config().Windowed()
	if c != nil && o.Result == gate.OK && c.succeed(g.Template.config(), p) {
		return
	}
	v := circuit.Neither
	if c != nil {
		v = c.judge(k.owner(k.config()), p, &o)
	} else {
		v = g.Template.config().Judge(o)
	}
	if c == nil && (v == circuit.Neither || v == circuit.Good && !counted) {
		return
	}
	g.use(k.key, func(c *shared) bool {
		if !c.leave(k.owner(k.config()), p, v, o.Fault) {
			return false
		}
		if v == circuit.Good && !counted {
			g.retire(k.key, c, 0)
		}
		return true
	})
}

// State is [Breaker.State] for the key.
func (k Keyed[K]) State() State {
	if c := k.group.find(k.key); c != nil {
		return c.state(k.config())
	}
	return Closed
}

// Snapshot is [Breaker.Snapshot] for the key.
func (k Keyed[K]) Snapshot() Snapshot {
	if c := k.group.find(k.key); c != nil {
		return c.snapshot(k.owner(k.config()))
	}
	return Snapshot{Name: k.named()}
}

// ForceOpen is [Breaker.ForceOpen] for the key.
func (k Keyed[K]) ForceOpen() {
	k.group.use(k.key, func(c *shared) bool { return c.force(k.owner(k.config()), Open) })
}

// ForceClose is [Breaker.ForceClose] for the key.
func (k Keyed[K]) ForceClose() {
	k.group.use(k.key, func(c *shared) bool { return c.force(k.owner(k.config()), Closed) })
}

// ForceHalfOpen is [Breaker.ForceHalfOpen] for the key.
func (k Keyed[K]) ForceHalfOpen() {
	k.group.use(k.key, func(c *shared) bool { return c.turn(k.owner(k.config()), HalfOpen) })
}

// Trip is [Breaker.Trip] for the key.
func (k Keyed[K]) Trip(d time.Duration) {
	k.group.use(k.key, func(c *shared) bool { return c.trip(k.owner(k.config()), d) })
}

// Reset is [Breaker.Reset] for the key.
func (k Keyed[K]) Reset() {
	k.group.use(k.key, func(c *shared) bool { return c.turn(k.owner(k.config()), Closed) })
}

// owner takes the configuration as an argument; otherwise it would be too large to be inlined. See
// Breaker.config.
func (k Keyed[K]) owner(cfg *circuit.Config) owner {
	return owner{cfg, k.named, k.group.Template.OnChange, &k.group.seq}
}

func (k Keyed[K]) config() *circuit.Config { return k.group.Template.config() }

func (k Keyed[K]) named() string {
	if k.group.Template.Name == "" {
		return fmt.Sprint(k.key)
	}
	return k.group.Template.Name + "/" + fmt.Sprint(k.key)
}
