package budget

import (
	"math"
	"time"
)

// State is what a Budget remembers, in one word: 36 bits of millionths of a token owed, and above
// them the time of the last retry in 28 bits of 10 ms ticks. Zero is full.
type State uint64

const (
	owedBits = 36
	owedMask = 1<<owedBits - 1
	tickMask = 1<<(64-owedBits) - 1
	tick     = 10 * time.Millisecond
	token    = 1_000_000
	most     = owedMask / token
	late     = 1 << 12
)

// TakeAt takes one token from s at the time now.
func (b *Budget) TakeAt(s State, now time.Duration) (State, bool) {
	if math.IsInf(b.Capacity, 1) {
		return 0, true
	}
	at := uint64(now/tick) & tickMask
	owed, last := b.owedAt(s, at)
	if owed+token > b.capacity() {
		return s, false
	}
	return State(last<<owedBits | owed + token), true
}

// SuccessAt pays the deposit for one call that succeeded into s.
func (b *Budget) SuccessAt(s State) State {
	return s.pay(micro(orDefault(b.Deposit, defaultDeposit)))
}

// ReturnAt gives back to s a token whose retry did not happen.
func (b *Budget) ReturnAt(s State) State { return s.pay(token) }

// LevelAt returns the tokens that s holds at the time now.
func (b *Budget) LevelAt(s State, now time.Duration) float64 {
	if math.IsInf(b.Capacity, 1) {
		return b.Capacity
	}
	owed, _ := b.owedAt(s, uint64(now/tick)&tickMask)
	return float64(b.capacity()-min(owed, b.capacity())) / token
}

func (b *Budget) capacity() uint64 {
	return micro(orDefault(b.Capacity, defaultCapacity))
}

func (b *Budget) owedAt(s State, at uint64) (owed, last uint64) {
	owed, last = uint64(s)&owedMask, uint64(s)>>owedBits
	if owed == 0 {
		return 0, at
	}
	passed := (at - last) & tickMask
	if passed > tickMask-late {
		return owed, last
	}
	back := float64(passed) * orDefault(b.Refill, defaultRefill) * (token * tick.Seconds())
	if back >= float64(owed) {
		return 0, at
	}
	return owed - uint64(back+0.5), at
}

func (s State) pay(amount uint64) State {
	if owed := uint64(s) & owedMask; amount >= owed {
		return 0
	}
	return s - State(amount)
}

func micro(tokens float64) uint64 {
	return uint64(min(tokens, most)*token + 0.5)
}

func orDefault(v, def float64) float64 {
	if v > 0 {
		return v
	}
	return def
}
