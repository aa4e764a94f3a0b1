// Package bucket is the arithmetic of a retry budget: a token bucket whose state is one word.
// Callers pass the time. A budget.Budget changes the word with compare-and-swap. The simulator
// keeps one word for each client, in virtual time.
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

// None is the value of a Deposit or a Refill that gives nothing back. 0 means the default.
const None = math.SmallestNonzeroFloat64

// Config holds the constants of a bucket. A field of 0 means its default.
type Config struct {
	Capacity float64 // tokens when full; +Inf = unlimited
	Deposit  float64 // tokens that a success gives back; None = none
	Refill   float64 // tokens given back per second; None = none
}

// Bucket is the state of a budget in one word. The low 36 bits are the debt, in millionths of a
// token. The bits above are the time up to which refills are counted, in ticks of 10 ms. Zero is
// full.
//
// Only differences of times matter. The ticks wrap after 31 days: a longer pause counts as the
// remainder beyond 31 days.
type Bucket uint64

// Token is one token, in the unit of Pay.
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

// Take takes one token at the time now. If there is none, it returns b unchanged and false. Callers
// then need not write the word, so many rejected callers do not contend for it.
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

// Success gives back the deposit for one call that succeeded. It needs no time, because deposits
// and refills may be counted in any order.
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

// owedAt returns the debt of b at the time now, and the tick up to which refills are counted.
//
// The word may have been changed by a caller that read the clock later. Then now is a little before
// the tick in the word, and nothing is refilled. Any other distance, even an impossible one, counts
// as time passed, so that no clock can lock the bucket.
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
	// The conversion keeps platforms from fusing the product with the sum below.
	back := float64(float64(passed) * float64(c.refill()*perTick))
	if !(back < float64(owed)) {
		return 0, at
	}
	return owed - uint64(back+0.5), at
}

// Pay reduces the debt by amount, in millionths of a token. A bucket without debt is zero.
func (b Bucket) Pay(amount uint64) Bucket {
	if amount >= uint64(b)&owedMask {
		return 0
	}
	return b - Bucket(amount)
}

// Reward returns the deposit for one success, in the unit of Pay.
func (c Config) Reward() uint64 { return millionths(c.deposit()) }

// Unlimited reports whether the capacity is infinite.
func (c Config) Unlimited() bool { return c.Capacity > math.MaxFloat64 }

// Defaults returns c with defaults in place of 0, and 0 in place of None.
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

// orDefault returns the default for invalid values as well.
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
