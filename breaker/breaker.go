// Package breaker rejects calls to a service that keeps failing, so that the service can recover
// and callers get an answer at once.
//
// A [Breaker] is closed while calls succeed and opens when they fail. After a cooldown it admits a
// few probes, whose results close it or open it again:
//
//	             failures                      cooldown over
//	┌────────┐ ──────────────▶ ┌──────┐ ──────────────────────▶ ┌───────────┐
//	│ closed │                 │ open │                         │ half-open │
//	└────────┘                 └──────┘ ◀────────────────────── └───────────┘
//	     ▲                                   a probe failed           │
//	     └────────────────────────────────────────────────────────────┘
//	                             Probes successes
//
// Three things may open it: failures in a row, the share of failures in a rolling window, and the
// share of slow calls in that window. If [Breaker.Rate] is set, the share of failures among the
// probes decides as well. [Breaker.Counts] defines what counts as a failure.
//
// A [Group] holds a breaker for each key, for example for each host.
package breaker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
)

// Breaker is a circuit breaker. The zero Breaker is ready to use: five failures in a row open it,
// and a minute later one probe decides. All goroutines that call the same service should share it.
// Once it is in use, do not copy it or change its fields.
//
// A call that succeeds through a closed breaker without Rate and SlowRate reads one word and writes
// nothing.
type Breaker struct {
	// Name is the breaker's name in errors, changes and snapshots.
	Name string

	// Failures is the number of failures in a row that opens the breaker. 0 = 5. If Rate or SlowRate
	// is set, 0 = failures in a row do not open it.
	Failures int

	// Rate is the share of failures among the calls in Window, in (0, 1], at which the breaker opens.
	// It is checked after every call. 0 = no share of failures opens it.
	Rate float64

	// MinCalls is the number of calls that Window must hold before Rate and SlowRate are checked. 0 =
	// 10.
	MinCalls int

	// Window is the time over which Rate and SlowRate are computed. It advances in tenths, so a call
	// counts for between nine tenths of Window and all of it. 0 = 10 s, unless WindowCalls is set.
	Window time.Duration

	// WindowCalls makes the window a number of calls instead of a time, however long ago the calls
	// were. It is at most 1000000; each call takes 2 bits. A MinCalls of 0 then means 10, or
	// WindowCalls if that is less. 0 = the window is a time.
	WindowCalls int

	// SlowAfter is the duration at which a call counts as slow, whether it succeeds or fails. 0 = no
	// call is slow.
	SlowAfter time.Duration

	// SlowRate is the share of slow calls among the calls in Window, in (0, 1], at which the breaker
	// opens. If it is set, a slow probe counts as failed. 0 = slow calls do not open it.
	SlowRate float64

	// Cooldown is how long the breaker stays open before it admits a probe. It also bounds the time of
	// probes. If all probes are under way and the last of them began a Cooldown ago, another probe is
	// admitted, and the results of the others are ignored. Each time this happens, the bound doubles,
	// so that slow calls can still close the breaker. 0 = 60 s.
	Cooldown time.Duration

	// MaxCooldown makes the cooldown grow. Each time that the breaker opens again without closing in
	// between, the cooldown doubles, up to MaxCooldown. Closing resets it. 0 = the cooldown does not
	// grow.
	MaxCooldown time.Duration

	// CooldownJitter lengthens every cooldown by a random part of it, up to this share. So the
	// processes of a fleet do not probe at the same time. With 0.1, a cooldown is 1 to 1.1 times the
	// Cooldown. The part is drawn when the breaker opens. 0 = no jitter.
	CooldownJitter float64

	// Probes is the number of calls that a half-open breaker admits at a time. If Rate is set, the
	// first Probes results decide: the breaker opens if the share of failures reaches Rate, and closes
	// otherwise. Without Rate, Probes successes close it, and one failure opens it. 0 = 1; at most
	// 4095.
	Probes int

	// Shadow makes a breaker that rejects nothing, to try a configuration on real calls. OnChange and
	// Snapshot show what the breaker would do; State always returns Closed. The results of calls that
	// it would reject do not count.
	Shadow bool

	// Counts reports whether a failure counts against the service. Nil = failures of kind Transient,
	// Overloaded and Unknown count.
	//
	// A failure that does not count is a success, because the server has answered. Some failures show
	// nothing about the server and do not count at all. These are failures of kind RateLimited and
	// Canceled, Permanent ones that were never sent, and calls that a later gate rejected. Counts is
	// not called for answers (kind None), which are successes, or for panics, which are failures. If
	// Counts panics, the call has failed.
	Counts func(fault.Fault) bool

	// OnChange is called at every change of state, once at a time and in order, on the goroutine of a
	// caller. It is called without a lock, so it may call the breaker's methods. Nil = none.
	OnChange func(Change)

	resolved atomic.Pointer[circuit.Config] // see config
	state    shared
}

// Enter admits a call and returns the pass for [Breaker.Leave], or rejects the call with an
// [*OpenError]. It never waits.
func (b *Breaker) Enter(context.Context) (gate.Pass, error) {
	if w := circuit.Word(b.state.word.Load()); w.Plain() && b.SlowAfter == 0 {
		return gate.Pass{A: uint64(w.Gen())}, nil
	}
	return b.enter()
}

// enter is separate from Enter, as leave is from Leave, so that the common path needs almost no
// stack.
//
//go:noinline
func (b *Breaker) enter() (gate.Pass, error) {
	if e := b.state.log.Load().rejectEarly(); e != nil {
		return gate.Pass{}, e
	}
	return b.state.enter(b.owner())
}

// Refusal returns the error with which Enter would reject a call after a delay of d, judged by the
// state now. It is an [*OpenError] if the breaker will still be open, and otherwise nil. A Shadow
// rejects nothing.
func (b *Breaker) Refusal(d time.Duration) error { return b.state.foresee(b.config(), d) }

// Leave reports how a call that [Breaker.Enter] admitted has ended. It must be called exactly once
// for every pass, even after a panic, so defer it. The zero Outcome stands for a panic. The result
// of a call that was admitted before the last change of state is ignored.
func (b *Breaker) Leave(p gate.Pass, o gate.Outcome) {
	if o.Result == gate.OK {
		if b.Rate == 0 && b.SlowRate == 0 {
			if b.state.word.Load() == p.A<<circuit.GenShift {
				return
			}
		} else if c := b.resolved.Load(); c != nil && b.state.countFast(c, p) {
			return
		}
	}
	b.leave(p, &o)
}

func (b *Breaker) leave(p gate.Pass, o *gate.Outcome) {
	b.state.leave(b.owner(), p, b.state.judge(b.owner(), p, o), o.Fault)
}

// State returns the state that the next call would find. An open breaker whose cooldown is over is
// [HalfOpen], because that call would be a probe. A Shadow is always [Closed].
func (b *Breaker) State() State { return b.state.state(b.config()) }

// ForceOpen opens the breaker until [Breaker.ForceClose], [Breaker.ForceHalfOpen] or
// [Breaker.Reset] is called. No cooldown ends it.
func (b *Breaker) ForceOpen() { b.state.force(b.owner(), Open) }

// ForceClose closes the breaker with all counts at zero. No result opens it until
// [Breaker.ForceOpen], [Breaker.ForceHalfOpen] or [Breaker.Reset] is called. The breaker still
// counts results.
func (b *Breaker) ForceClose() { b.state.force(b.owner(), Closed) }

// ForceHalfOpen makes the breaker half-open, from any state, so that the next calls are probes.
func (b *Breaker) ForceHalfOpen() { b.state.turn(b.owner(), HalfOpen) }

// Trip opens the breaker for d from now on, from any state. After d it is half-open. If d is 0 or
// less, it is half-open at once. MaxCooldown does not lengthen d.
func (b *Breaker) Trip(d time.Duration) { b.state.trip(b.owner(), d) }

// Reset closes the breaker, forced or not, with all counts at zero. The results of calls under way
// are ignored.
func (b *Breaker) Reset() { b.state.turn(b.owner(), Closed) }

// Snapshot returns the state and the counts of the breaker at this moment.
func (b *Breaker) Snapshot() Snapshot { return b.state.snapshot(b.owner()) }

func (b *Breaker) owner() owner {
	return owner{cfg: b.config(), name: b.named, onChange: b.OnChange}
}

func (b *Breaker) named() string { return b.Name }
