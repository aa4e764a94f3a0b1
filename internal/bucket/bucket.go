// Package bucket is the bare form of a retry budget: a token bucket in one word, without a clock
// and without atomics. A budget.Budget keeps one of these words under compare-and-swap; the
// simulator keeps one for each of its clients, in a time of its own.
package bucket

import (
	"math"
	"time"
)

// Defaults of a Config's fields.
const (
	DefaultCapacity = 10
	DefaultDeposit  = 0.1
	DefaultRefill   = 0.1
)

// None, as a Deposit or a Refill, is none, where 0 is the default.
const None = math.SmallestNonzeroFloat64

// Config is what buckets have in common. Each 0 means its default.
type Config struct {
	Capacity float64 // Tokens when full; +Inf = unlimited
	Deposit  float64 // Tokens that a success gives back; None = none
	Refill   float64 // Tokens given back per second; None = none
}

// Bucket is all that a budget remembers, in one word: millionths of a token owed to the bucket in
// the low 36 bits, and above them the time of the last retry, in ticks of 10 ms. Zero is full.
//
// The time may begin anywhere; only differences count. The ticks wrap after 31 days: of a longer
// pause, only the rest beyond them is refilled.
type Bucket uint64

// Token is a whole token, in the millionths that Pay takes.
const Token = 1_000_000

const (
	tick      = 10 * time.Millisecond
	perTick   = Token / float64(time.Second/tick) // of a refill of one token per second
	owedBits  = 36
	owedMask  = 1<<owedBits - 1
	tickMask  = 1<<(64-owedBits) - 1
	mostOwed  = owedMask / Token // in whole tokens
	lateTicks = 1 << 12          // 41 s: see owedAt
)

// Take takes one token at the time now. If there is none, it returns b itself and false: a refusal
// leaves no trace, so that time goes on refilling, and callers in a storm of refusals share the
// word without writing to it.
func (b Bucket) Take(c Config, now time.Duration) (Bucket, bool) {
	if c.Unlimited() {
		return 0, true
	}
	owed, last := b.owedAt(c, now)
	if owed+Token > c.capacity() {
		return b, false
	}
	return Bucket(last<<owedBits | owed + Token), true
}

// Success gives back the deposit for one call that succeeded. It needs no time: what time gives
// back commutes with it.
func (b Bucket) Success(c Config) Bucket { return b.Pay(c.Reward()) }

// Return gives back a token whose retry did not happen.
func (b Bucket) Return() Bucket { return b.Pay(Token) }

// Level returns the tokens left at the time now, from 0 to the capacity.
func (b Bucket) Level(c Config, now time.Duration) float64 {
	if c.Unlimited() {
		return c.Capacity
	}
	owed, _ := b.owedAt(c, now)
	return float64(c.capacity()-min(owed, c.capacity())) / Token
}

// owedAt returns what b owes at the time now, and the tick up to which refills are counted.
//
// A caller that read the clock before the last one to change the word comes late: the tick stands
// a little in its past, and nothing has been refilled since. Any other distance, even an impossible
// one, is time passed, so that no clock can lock the bucket.
func (b Bucket) owedAt(c Config, now time.Duration) (owed, last uint64) {
	at := uint64(now/tick) & tickMask
	owed, last = uint64(b)&owedMask, uint64(b)>>owedBits
	if owed == 0 {
		return 0, at
	}
	passed := (at - last) & tickMask
	if passed > tickMask-lateTicks {
		return owed, last
	}
	// Converted, so that no platform fuses the product with the sum below.
	back := float64(float64(passed) * float64(c.refill()*perTick))
	if !(back < float64(owed)) {
		return 0, at
	}
	return owed - uint64(back+0.5), at
}

// Pay takes an amount, in millionths of a token, off the debt. A bucket without debt is zero again,
// and needs no time.
func (b Bucket) Pay(amount uint64) Bucket {
	if amount >= uint64(b)&owedMask {
		return 0
	}
	return b - Bucket(amount)
}

// Reward is the deposit for one success, for Pay.
func (c Config) Reward() uint64 { return millionths(c.deposit()) }

// Unlimited reports whether the capacity is infinite.
func (c Config) Unlimited() bool { return c.Capacity > math.MaxFloat64 }

// Defaults returns c with its defaults in place, and 0 for None.
func (c Config) Defaults() Config {
	return Config{orDefault(c.Capacity, DefaultCapacity), c.deposit(), c.refill()}
}

func (c Config) capacity() uint64 { return millionths(orDefault(c.Capacity, DefaultCapacity)) }
func (c Config) deposit() float64 { return orNone(c.Deposit, DefaultDeposit) }
func (c Config) refill() float64  { return orNone(c.Refill, DefaultRefill) }

// millionths rounds. The conversion keeps platforms from fusing the product with the sum.
func millionths(tokens float64) uint64 {
	return uint64(float64(min(tokens, mostOwed)*Token) + 0.5)
}

// orDefault takes what is invalid for unset, too.
func orDefault(v, unset float64) float64 {
	if v > 0 {
		return v
	}
	return unset
}

func orNone(v, unset float64) float64 {
	if v == None {
		return 0
	}
	return orDefault(v, unset)
}
