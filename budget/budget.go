// Package budget bounds retries to a share of the calls that succeed, plus a few per minute, so
// that retries do not prolong an outage.
//
// A service that has become too slow for its load gets a second and a third attempt from every call
// that has timed out. Delays and jitter spread that load over time, and a budget bounds it. Only
// successes fill the budget again. If failures filled it too, an outage would pay for its own
// retries. Bronson et al., "Metastable Failures in Distributed Systems" (HotOS 2021), describe such
// collapses.
package budget

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/rebound-go/rebound/internal/bucket"
	"github.com/rebound-go/rebound/internal/clock"
)

// None is the value of Deposit or Refill that gives nothing back. 0 means the default.
const None = bucket.None

// Budget is a bucket of tokens. A retry takes one token. A success gives back a part of one. Time
// slowly refills the bucket too, so that a caller without successes still gets a few retries. Over
// any period
//
//	retries ≤ Capacity + Deposit × successes + Refill × seconds
//
// The zero Budget is full and ready to use. Goroutines and policies may share a Budget. Use one
// Budget for each service that you call. Once it is in use, do not copy it or change its fields.
//
// Each process has its own Refill: a fleet of a thousand processes with the default of 0.1 may make
// a hundred retries a second in all.
type Budget struct {
	Capacity float64 // tokens when full, from 1 to 68,719; 0 = 10; +Inf = unlimited
	Deposit  float64 // tokens that each success gives back; 0 = 0.1; None = none
	Refill   float64 // tokens per second, at least one a month; 0 = 0.1; None = none

	state atomic.Uint64              // a bucket.Bucket
	empty atomic.Pointer[EmptyError] // made at the first rejection
}

// Unlimited allows every retry. It suits callers that limit themselves, such as a batch with a
// fixed number of workers.
var Unlimited = &Budget{Capacity: math.Inf(1)}

// Take takes the token of one retry. If there is none, it takes nothing and returns an
// [*EmptyError], and the retry must not be made. Call Take before the delay: then no call waits for
// a retry that it may not make.
func (b *Budget) Take() error {
	if b.config().Unlimited() {
		return nil
	}
	now := clock.Now()
	for {
		old := b.state.Load()
		s, ok := bucket.Bucket(old).Take(b.config(), now)
		if !ok {
			return b.rejection()
		}
		if b.state.CompareAndSwap(old, uint64(s)) {
			return nil
		}
	}
}

// Return gives back a token whose retry did not happen.
func (b *Budget) Return() { b.pay(bucket.Token) }

// Success gives back the Deposit for one call that succeeded. It reads no clock. While the bucket
// is full, it costs one atomic load.
func (b *Budget) Success() {
	if b.state.Load() != 0 {
		b.earn()
	}
}

//go:noinline
func (b *Budget) earn() { b.pay(b.config().Reward()) }

func (b *Budget) pay(amount uint64) {
	for {
		old := b.state.Load()
		s := uint64(bucket.Bucket(old).Pay(amount))
		if s == old || b.state.CompareAndSwap(old, s) {
			return
		}
	}
}

func (b *Budget) config() bucket.Config {
	return bucket.Config{Capacity: b.Capacity, Deposit: b.Deposit, Refill: b.Refill}
}

// Size returns the number of tokens in a full budget: Capacity, or 10 if Capacity is 0.
func (b *Budget) Size() float64 { return b.config().Defaults().Capacity }

// Level returns the number of tokens left now, from 0 to Size.
func (b *Budget) Level() float64 {
	return bucket.Bucket(b.state.Load()).Level(b.config(), clock.Now())
}

// Validate returns an error that names the first invalid field: a Capacity below 1, or a Deposit or
// Refill that is negative or not a number. A Capacity above 68,719 is valid and counts as 68,719.
func (b *Budget) Validate() error {
	switch {
	case b.Capacity != 0 && !(b.Capacity >= 1):
		return fmt.Errorf("budget: Capacity is %v: want 1 or more, or 0 for %v",
			b.Capacity, bucket.DefaultCapacity)
	case !(b.Deposit >= 0):
		return fmt.Errorf("budget: Deposit is %v: want more than 0, or 0 for %v, or budget.None",
			b.Deposit, bucket.DefaultDeposit)
	case !(b.Refill >= 0):
		return fmt.Errorf("budget: Refill is %v: want more than 0, or 0 for %v, or budget.None",
			b.Refill, bucket.DefaultRefill)
	}
	return nil
}
