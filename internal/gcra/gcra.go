// Package gcra is the bare form of a rate limit: the generic cell rate algorithm of ITU-T I.371,
// in one word, without a clock and without atomics. A limit.Rate keeps the word under
// compare-and-swap; the simulator keeps one for each of its processes, in a time of its own.
package gcra

import (
	"math"
	"time"
)

// Bucket is what the words of one limit have in common.
type Bucket struct {
	gap   float64       // ns from one token to the next
	one   time.Duration // the cost of one token, at least 1 ns
	depth time.Duration // the time that fills an empty bucket
}

// Tat is the theoretical arrival time: the instant at which the bucket is full again if nothing
// else is taken. A Tat that has passed is a full bucket; 0 has passed.
type Tat = time.Duration

// Most bounds every cost and every wait, so that their sums do not overflow: 29 years.
const Most = time.Duration(1<<59) * 8 / 5

// leastGap keeps levels finite. No cost is below 1 ns anyway.
const leastGap = 1e-9

// New returns a bucket of burst tokens that gains n tokens in each period.
func New(n float64, per time.Duration, burst float64) Bucket {
	gap := max(float64(per)/n, leastGap)
	return Bucket{gap: gap, one: max(saturated(gap), 1), depth: saturated(burst * gap)}
}

// Cost is the time that brings n tokens. It is at least 1 ns for any n above 0.
func (b Bucket) Cost(n float64) time.Duration {
	switch {
	case n == 1:
		return b.one
	case n > 0:
		return max(saturated(n*b.gap), 1)
	}
	return saturated(n * b.gap)
}

// Take takes cost and returns the next Tat, and the instant from which on the tokens are there: now
// or earlier if they are there already. What costs more than a whole bucket is there when the
// bucket is full, and leaves a debt.
func (b Bucket) Take(tat Tat, now, cost time.Duration) (next Tat, turn time.Duration) {
	next = max(tat, now) + cost
	return next, b.Turn(next, cost)
}

// Turn is the instant from which on the tokens are there that were taken for cost, after which the
// Tat was next.
func (b Bucket) Turn(next Tat, cost time.Duration) time.Duration {
	return next - max(b.depth, cost)
}

// Level is what can be taken at once, in tokens. It is negative when the bucket is in debt.
func (b Bucket) Level(tat Tat, now time.Duration) float64 {
	return float64(b.depth-max(tat-now, 0)) / b.gap
}

// Debit takes cost whatever the level is. A negative cost gives back, until the bucket is full but
// for the turns that are booked. These are a part of the Tat.
func Debit(tat Tat, now, booked, cost time.Duration) Tat {
	full := now + booked
	return min(max(max(tat, full)+cost, full), now+2*Most)
}

// Floor is the least Tat that agrees with a server that has so many tokens left, and no more before
// reset is over.
func (b Bucket) Floor(now time.Duration, remaining float64, reset time.Duration) Tat {
	tat := now + b.depth - b.Cost(max(remaining, 0))
	if remaining < 1 {
		tat = max(tat, now+min(reset, Most)+b.depth-b.Cost(1))
	}
	return tat
}

func saturated(ns float64) time.Duration {
	switch {
	case ns >= float64(Most):
		return Most
	case ns <= -float64(Most):
		return -Most
	case math.IsNaN(ns):
		return 0
	}
	return time.Duration(ns)
}
