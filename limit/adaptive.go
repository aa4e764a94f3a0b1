package limit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/internal/clock"
)

// Adaptive admits as many attempts at a time as the service's latency allows. Up to Queue more wait
// for a permit, in the order of their arrival. All others are rejected at once.
//
// The limit changes at most once per window. A window holds the attempts of one second, and at
// least ten. If twice their mean latency is more than a second, the window is as long as that, and
// the first one twice as long: in less time, mostly the fast ones of the attempts would end.
//
//   - The limit grows by about one per second while the latency is normal, if more than half of it
//     was in use. In a long window it grows by at most a quarter.
//   - It shrinks when the latency is above 1.5 times that of the last minutes, or above Target, if
//     Target is set. The algorithm is Gradient2 of Netflix's concurrency-limits. If half of the
//     limit leaves more than 3/4 of the latency, there was no queue: the latency counts as normal,
//     and the limit is what it was before.
//   - It shrinks by a tenth if more than 5 % of the attempts were rate limited, overloaded or timed
//     out. Attempts that began before the limit last shrank only keep it from growing.
//
// Other failures and canceled attempts change nothing. Without a Target, a queue at the service
// that lasts for minutes becomes the normal latency, and the limit grows until attempts time out.
//
// The zero Adaptive is ready to use. Goroutines and policies may share an Adaptive. Once it is in
// use, do not copy it or change its fields.
type Adaptive struct {
	// Name is the limit's name in errors and snapshots.
	Name string

	// Initial is the limit at the start. 0 = 20, or the nearest value between Min and Max.
	Initial int

	// Min and Max are the lowest and the highest limit. 0 = 1 and 1000.
	Min, Max int

	// Queue is the largest number of attempts that wait for a permit. 0 = none.
	Queue int

	// Wait is the longest time that an attempt stays in the queue. 0 = until its context ends.
	Wait time.Duration

	// Target is the mean latency to keep. 0 = the service's normal latency.
	Target time.Duration

	// SlowStart doubles the limit in each window, until the latency or rejections show that the limit
	// is too high. Then the limit is halved, and from then on changes as described above. It suits a
	// program with much work. If many such programs start at the same time, they overload the service.
	SlowStart bool
	// OnChange is called after each change of the limit, once at a time and in order. Nil = none.
	OnChange func(Change)

	permits permits
	limit   atomic.Int32  // of law; 0 = the initial one
	served  atomic.Uint64 // samples that are not in law yet
	until   atomic.Int64  // when law's window may be complete, in clock.Now; 0 = it is empty
	peak    atomic.Uint64 // the most attempts in flight in that window
	err     atomic.Pointer[Error]

	// mu guards the fields below it. The fields above are copies for the common path, which takes no
	// lock.
	mu        sync.Mutex
	law       adaptive.Limit
	reported  int  // the limit that OnChange has got; 0 = the initial one
	reporting bool // some goroutine is in OnChange
}

// Change is a change of the limit of an [Adaptive].
type Change struct {
	Name     string // of the Adaptive
	From, To int    // attempts at a time
}

// Enter takes a permit. If there is none and the queue has room, it waits for one. It returns an
// [*Error] if it gets none within Wait, or the context's cause if the context ends first. If it
// returns an error, it has taken nothing.
func (a *Adaptive) Enter(ctx context.Context) (gate.Pass, error) {
	if ctx.Err() != nil || !a.permits.take(a.most()) {
		if err := a.wait(ctx); err != nil {
			return gate.Pass{}, err
		}
	}
	underWay, _ := a.permits.load()
	return gate.Pass{A: uint64(clock.Now()), B: uint64(underWay)}, nil
}

// wait is the part of Enter for an attempt that finds no free permit.
func (a *Adaptive) wait(ctx context.Context) error {
	return a.permits.enter(ctx, a.most, a.Queue, a.Wait, a.rejection)
}

// Leave returns the permit, or hands it to the first attempt in the queue. The attempt's outcome
// and latency go into the window.
func (a *Adaptive) Leave(p gate.Pass, o gate.Outcome) {
	now := clock.Now()
	latency := max(now-time.Duration(p.A), 0)
	moved := false
	if o.Result != gate.OK || !a.addQuickly(now, latency, p.B) {
		moved = a.add(now, latency, p.B, o)
	}
	if a.permits.drop() {
		a.permits.grant(a.most()) // as many as the new limit has room for
	}
	// This is the last step, because OnChange may panic.
	for moved && a.reportOne() {
	}
}

// Adaptive.served holds the number of its samples in the upper bits, and below it the sum of their
// latencies in ticks. The sum over a window covers the time of its attempts within and before the
// window: at most 2 s for each attempt in flight. Within these bounds it fills half of its 40
// bits.
const (
	tick       = 64 * time.Nanosecond
	tickBits   = 40
	ticks      = 1<<tickBits - 1
	maxLatency = time.Second
	maxPeak    = 1 << 14
)

// addQuickly adds the sample of an attempt that was served, without the lock. It cannot do so for a
// sample that starts or completes a window or is a new peak in it. It then returns false, and the
// sample needs add.
func (a *Adaptive) addQuickly(now, latency time.Duration, inFlight uint64) bool {
	if int64(now) >= a.until.Load() || inFlight > a.peak.Load() || latency > maxLatency {
		return false
	}
	a.served.Add(1<<tickBits | (uint64(latency)+uint64(tick)/2)/uint64(tick))
	return true
}

// add adds the sample of an attempt, unless its outcome shows nothing about the service. It returns
// whether the limit has changed.
func (a *Adaptive) add(now, latency time.Duration, inFlight uint64, o gate.Outcome) bool {
	s := adaptive.Sample{Latency: latency, InFlight: int(inFlight), Verdict: adaptive.Judge(o)}
	if s.Verdict == adaptive.Ignored {
		return false
	}
	c := a.config()
	a.mu.Lock()
	defer a.mu.Unlock()
	served := a.served.Swap(0)
	a.law.Window.Merge(int(served>>tickBits), time.Duration(served&ticks)*tick)
	before := a.law.Now(&c)
	a.law.Add(&c, now, s)
	limit := a.law.Now(&c)
	a.limit.Store(int32(limit))
	until, peak := a.law.Window.Open()
	a.until.Store(int64(until))
	a.peak.Store(uint64(min(peak, maxPeak)))
	return limit != before
}

// reportOne calls OnChange if the limit differs from the one reported last. If another goroutine,
// or this one further up its stack, is already doing so, that one continues with the new limit. So
// changes are reported one at a time and in order, without a lock. It returns false when nothing is
// left to do.
func (a *Adaptive) reportOne() bool {
	if a.OnChange == nil {
		return false
	}
	c := a.config()
	a.mu.Lock()
	ch := Change{Name: a.Name, From: a.reported, To: a.law.Now(&c)}
	if ch.From == 0 {
		ch.From = new(adaptive.Limit).Now(&c)
	}
	if a.reporting || ch.From == ch.To {
		a.mu.Unlock()
		return false
	}
	a.reported, a.reporting = ch.To, true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.reporting = false
		a.mu.Unlock()
	}()
	a.OnChange(ch)
	return true
}

// Refusal returns nil for every d above 0, because it is unknown when a permit will be free. For a
// d of 0 it returns the [*Error] that Enter would return now, or nil.
func (a *Adaptive) Refusal(d time.Duration) error {
	if d > 0 || !a.permits.full(a.most(), a.Queue) {
		return nil
	}
	return a.rejection()
}

// Snapshot returns the state of the limit now.
func (a *Adaptive) Snapshot() Snapshot {
	return a.permits.snapshot(a.Name, "adaptive", a.most())
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (a *Adaptive) Validate() error {
	c := a.config()
	low, high := c.Bounds()
	switch {
	case a.Min < 0:
		return invalid("Adaptive", a.Name, "Min", a.Min, "1 or more, or 0 for 1")
	case a.Max < 0 || a.Max > math.MaxInt32:
		return invalid("Adaptive", a.Name, "Max", a.Max, "1 or more, or 0 for 1000")
	case low > high:
		return invalid("Adaptive", a.Name, "Min", a.Min, "no more than Max")
	case a.Initial < 0:
		return invalid("Adaptive", a.Name, "Initial", a.Initial, "1 or more, or 0 for 20")
	case a.Initial > 0 && (a.Initial < low || a.Initial > high):
		return invalid("Adaptive", a.Name, "Initial", a.Initial, "between Min and Max")
	case a.Target < 0:
		return invalid("Adaptive", a.Name, "Target", a.Target, "more than 0, or 0 for none")
	}
	return validQueue("Adaptive", a.Name, a.Queue, a.Wait)
}

func (a *Adaptive) config() adaptive.Config {
	return adaptive.Config{Initial: a.Initial, Min: a.Min, Max: a.Max, Target: a.Target,
		SlowStart: a.SlowStart}
}

// most returns the largest number of attempts at a time.
func (a *Adaptive) most() int {
	if n := a.limit.Load(); n > 0 {
		return int(n)
	}
	return a.first()
}

// first sets and returns the initial limit.
func (a *Adaptive) first() int {
	c := a.config()
	n := new(adaptive.Limit).Now(&c)
	a.limit.CompareAndSwap(0, int32(n))
	return n
}

func (a *Adaptive) rejection() error {
	return theError(&a.err, Error{
		Name: a.Name, is: ErrFull, kind: fault.Overloaded, detail: "adaptive",
	})
}
