package budget

import (
	"math"
	"time"
)

// State is all that a Budget remembers, in one word: millionths of a token owed to the bucket in
// the low 36 bits, and above them the time of the last retry, in ticks of 10 ms. Zero is full.
//
// It is exported for simulators, which run many buckets in a time of their own: to them a Budget
// is only its three fields, shared by all, and every client keeps a State. The time may begin
// anywhere; only differences count.
//
// The ticks wrap after 31 days: of a pause that is longer, only the rest beyond them is refilled.
type State uint64

const (
	token     = 1_000_000 // a whole token
	tick      = 10 * time.Millisecond
	perTick   = token / float64(time.Second/tick) // of a refill of one token per second
	owedBits  = 36
	owedMask  = 1<<owedBits - 1
	tickMask  = 1<<(64-owedBits) - 1
	mostOwed  = owedMask / token // in whole tokens
	lateTicks = 1 << 12          // 41 s: see owedAt
)

// TakeAt takes one token from s at the time now. If there is none it returns s itself and false: a
// refusal leaves no trace, so that time goes on refilling and callers in a storm of refusals share
// the word without writing to it.
func (b *Budget) TakeAt(s State, now time.Duration) (State, bool) {
	if b.unlimited() {
		return 0, true
	}
	owed, last := b.owedAt(s, now)
	if owed+token > b.capacity() {
		return s, false
	}
	return State(last<<owedBits | owed + token), true
}

// SuccessAt gives back to s the deposit for one call that succeeded. It needs no time: what time
// gives back commutes with it.
func (b *Budget) SuccessAt(s State) State { return s.pay(b.deposit()) }

// ReturnAt gives back to s a token whose retry did not happen.
func (b *Budget) ReturnAt(s State) State { return s.pay(token) }

// LevelAt returns the tokens left in s at the time now, from 0 to Capacity.
func (b *Budget) LevelAt(s State, now time.Duration) float64 {
	if b.unlimited() {
		return b.Capacity
	}
	owed, _ := b.owedAt(s, now)
	return float64(b.capacity()-min(owed, b.capacity())) / token
}

// owedAt returns what s owes at the time now, and the tick up to which refills are counted.
//
// A caller that read the clock before the last one to change the word comes late: the tick stands
// a little in its past, and nothing has been refilled since. Any other distance, even one that
// makes no sense, is time passed, so that no clock can lock the bucket.
func (b *Budget) owedAt(s State, now time.Duration) (owed, last uint64) {
	at := uint64(now/tick) & tickMask
	owed, last = uint64(s)&owedMask, uint64(s)>>owedBits
	if owed == 0 {
		return 0, at
	}
	passed := (at - last) & tickMask
	if passed > tickMask-lateTicks {
		return owed, last
	}
	// Converted, so that no platform fuses the product with the sum below.
	back := float64(float64(passed) * float64(orDefault(b.Refill, defaultRefill)*perTick))
	if !(back < float64(owed)) {
		return 0, at
	}
	return owed - uint64(back+0.5), at
}

// pay takes amount off the debt. A bucket without debt is zero again, and needs no time.
func (s State) pay(amount uint64) State {
	if amount >= uint64(s)&owedMask {
		return 0
	}
	return s - State(amount)
}

func (b *Budget) unlimited() bool  { return b.Capacity > math.MaxFloat64 }
func (b *Budget) capacity() uint64 { return millionths(orDefault(b.Capacity, defaultCapacity)) }
func (b *Budget) deposit() uint64  { return millionths(orDefault(b.Deposit, defaultDeposit)) }

// millionths rounds. The conversion keeps platforms from fusing the product with the sum.
func millionths(tokens float64) uint64 {
	return uint64(float64(min(tokens, mostOwed)*token) + 0.5)
}

// orDefault takes what Validate refuses for unset, too.
func orDefault(v, unset float64) float64 {
	if v > 0 {
		return v
	}
	return unset
}
