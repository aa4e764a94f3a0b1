// Package breaker stops calls to a service that keeps failing, so that it can recover and callers
// are answered at once.
//
// A [Breaker] is closed while calls go well, opens when they fail, and after a cooldown lets a few
// probes through whose results close it or open it again:
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
// share of slow calls in that window. With [Breaker.Rate] set, the share of failures among the
// probes decides. What counts as a failure: see [Breaker.Counts].
//
// A [Group] holds a breaker for each key, say for each host.
package breaker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
)

// Breaker is a circuit breaker. The zero Breaker is ready: five failures in a row open it, a
// minute later one probe decides. It is made to be shared by all goroutines that call the same
// service; do not copy it, nor change its fields, once it is in use.
//
// A call that succeeds through a closed breaker without Rate and SlowRate reads one word and
// writes nothing.
type Breaker struct {
	// Name is the breaker's name in errors, changes and snapshots.
	Name string

	// Failures in a row that open it. 0 means 5, or, when Rate or SlowRate is set, that failures
	// in a row alone do not open it.
	Failures int

	// Rate is the share of failures among the calls in Window, in (0, 1], from which on it opens;
	// it is looked at after every call. 0: no share of failures opens it.
	Rate float64

	// MinCalls is how many calls Window must hold before Rate and SlowRate are looked at. 0 means
	// 10.
	MinCalls int

	// Window is the time that Rate and SlowRate look back. It moves on in tenths, so that a call
	// counts for between nine tenths of it and all of it. 0 means 10 s, unless WindowCalls is set.
	Window time.Duration

	// WindowCalls makes the window the last so many calls, however long ago they were, instead of
	// a time. At most 1000000; each call takes 2 bits. MinCalls is then WindowCalls if 10 is
	// more. 0: the window is a time.
	WindowCalls int

	// SlowAfter makes a call that takes at least this long a slow one, whether it succeeds or
	// fails. 0: no call is slow.
	SlowAfter time.Duration

	// SlowRate is the share of slow calls among the calls in Window, in (0, 1], from which on it
	// opens. With it set, a probe must also be fast: a slow one counts as failed. 0: slow calls do
	// not matter.
	SlowRate float64

	// Cooldown is how long it stays open before it lets a probe through, and how long a probe
	// may take: if all probes are out and the last of them began a Cooldown ago, they are given
	// up, their results will be ignored, and another one is let through. That time doubles each
	// time it happens, so that a service whose calls take longer than Cooldown is found healthy
	// as well. 0 means 60 s.
	Cooldown time.Duration

	// MaxCooldown makes the cooldown grow: every time the breaker opens again without a closing in
	// between, the cooldown is twice as long, until it is MaxCooldown. Closing ends the growth. 0:
	// cooldowns do not grow.
	MaxCooldown time.Duration

	// CooldownJitter lengthens every cooldown by a random part of it, up to this share, so that
	// a fleet does not probe in step: 0.1 means between Cooldown and 1.1 Cooldown. It is drawn
	// when the breaker opens. 0: cooldowns are exact.
	CooldownJitter float64

	// Probes is how many calls a half-open breaker lets through at a time. With Rate set, the first
	// Probes results decide: it opens if the share of failures reaches Rate, and closes otherwise.
	// Without Rate, Probes successes close it, and one failure opens it. 0 means 1; at most 4095.
	Probes int

	// Shadow makes a breaker that rejects nothing: to try a configuration on real calls. OnChange
	// and Snapshot show what it would do; State is Closed for as long as it lives. Calls that it
	// would reject do not count, whatever their results.
	Shadow bool

	// Counts says which failures count. Nil means those of kind Transient, Overloaded and Unknown.
	// A failure that does not count is a success, since the server answered, unless it says
	// nothing about the server: those of kind RateLimited and Canceled, and Permanent ones that
	// were never sent, are neither. Nor is a call that a later gate refused. An answer (kind None)
	// is always a success and a panic always a failure; Counts is not asked about them. If Counts
	// panics, the call counts as failed.
	Counts func(fault.Fault) bool

	// OnChange is called at every change of state, one at a time and in order, on the goroutine of
	// a caller. No lock is held, so it may call the breaker's methods. Nil: nothing is called.
	OnChange func(Change)

	resolved atomic.Pointer[circuit.Config] // see config
	state    shared
}

// Enter asks whether a call may be made, and returns the pass that [Breaker.Leave] wants when the
// call has ended, or else an [*OpenError]. It never waits.
func (b *Breaker) Enter(context.Context) (gate.Pass, error) {
	if w := circuit.Word(b.state.word.Load()); w.Plain() && b.SlowAfter == 0 {
		return gate.Pass{A: uint64(w.Gen())}, nil
	}
	return b.enter()
}

// enter is apart, as leave is, so that the common way needs next to no stack.
//
//go:noinline
func (b *Breaker) enter() (gate.Pass, error) {
	if e := b.state.log.Load().rejectEarly(); e != nil {
		return gate.Pass{}, e
	}
	return b.state.enter(b.owner())
}

// Refusal foresees the answer after a delay of d: it returns the
// [*OpenError] of a breaker that is open and, as far as is known now, will still be when d is
// over; else nil. A Shadow foresees none.
func (b *Breaker) Refusal(d time.Duration) error { return b.state.foresee(b.config(), d) }

// Leave reports how a call that [Breaker.Enter] let through has ended. It must be called exactly
// once for every pass, panics included: deferred, then, and a zero Outcome stands for a panic. A
// result from before the last change of state is ignored.
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

// State says how the next call would be met: an open breaker whose cooldown is over is [HalfOpen],
// since that call would be its probe.
// A breaker that is a Shadow is always [Closed].
func (b *Breaker) State() State { return b.state.state(b.config()) }

// ForceOpen opens the breaker until [Breaker.ForceClose], [Breaker.ForceHalfOpen] or
// [Breaker.Reset]: no cooldown ends it.
func (b *Breaker) ForceOpen() { b.state.force(b.owner(), Open) }

// ForceClose closes the breaker, with clean counts, and keeps it closed whatever the calls do,
// until [Breaker.ForceOpen], [Breaker.ForceHalfOpen] or [Breaker.Reset]. It goes on counting.
func (b *Breaker) ForceClose() { b.state.force(b.owner(), Closed) }

// ForceHalfOpen makes the next calls probes, whatever the state was and whether or not it was
// forced.
func (b *Breaker) ForceHalfOpen() { b.state.turn(b.owner(), HalfOpen) }

// Trip opens the breaker for d from now on, whatever the state was and whether or not it was
// forced; then it is half-open. It does so at once if d is 0 or less. MaxCooldown does not
// lengthen d.
func (b *Breaker) Trip(d time.Duration) { b.state.trip(b.owner(), d) }

// Reset closes the breaker, forced or not, with clean counts. Results of calls under way are
// ignored.
func (b *Breaker) Reset() { b.state.turn(b.owner(), Closed) }

// Snapshot returns what is to be known about the breaker now.
func (b *Breaker) Snapshot() Snapshot { return b.state.snapshot(b.owner()) }

func (b *Breaker) owner() owner {
	return owner{cfg: b.config(), name: b.named, onChange: b.OnChange}
}

func (b *Breaker) named() string { return b.Name }
