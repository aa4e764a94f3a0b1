// Package gcra is the arithmetic of a rate limit: the generic cell rate algorithm of ITU-T I.371.
// The state of a limit is one word, and callers pass the time. A limit.Rate changes the word with
// compare-and-swap. The simulator keeps one word for each process, in virtual time.
package gcra

import (
	"math"
	"time"
)

// Bucket holds the constants of one limit.
type Bucket struct {
	gap   float64       // ns from one token to the next
	one   time.Duration // the cost of one token, at least 1 ns
	depth time.Duration // the time in which an empty bucket fills
}

// Tat is the theoretical arrival time: the instant at which the bucket is full again if nothing
// else is taken. If it has passed, the bucket is full. 0 has always passed.
type Tat = time.Duration

// Most bounds every cost and every delay, so that their sums do not overflow: 29 years.
const Most = time.Duration(1<<59) * 8 / 5

// leastGap keeps levels finite. No cost is below 1 ns anyway.
const leastGap = 1e-9

// New returns a bucket that holds burst tokens and gains n tokens in each period per.
func New(n float64, per time.Duration, burst float64) Bucket {
	gap := max(float64(per)/n, leastGap)
	return Bucket{gap: gap, one: max(saturated(gap), 1), depth: saturated(burst * gap)}
}

// Cost returns the time in which the bucket gains n tokens. For n above 0 it is at least 1 ns.
func (b Bucket) Cost(n float64) time.Duration {
	switch {
	case n == 1:
		return b.one
	case n > 0:
		return max(saturated(n*b.gap), 1)
	}
	return saturated(n * b.gap)
}

// Take takes cost. It returns the next Tat, and turn, the instant at which the tokens are
// available. If turn is not after now, they are available at once. A cost above a whole bucket is
// available when the bucket is full, and leaves a debt.
func (b Bucket) Take(tat Tat, now, cost time.Duration) (next Tat, turn time.Duration) {
	next = max(tat, now) + cost
	return next, b.Turn(next, cost)
}

// Turn returns the turn of a Take of cost that returned next.
func (b Bucket) Turn(next Tat, cost time.Duration) time.Duration {
	return next - max(b.depth, cost)
}

// Level returns the tokens that can be taken at once. It is negative when the bucket is in debt.
func (b Bucket) Level(tat Tat, now time.Duration) float64 {
	return float64(b.depth-max(tat-now, 0)) / b.gap
}

// Debit takes cost whatever the level is. A negative cost gives tokens back, at most until the
// bucket is full. booked is the cost of turns that are still to come: the Tat includes it, and it
// is not given back.
func Debit(tat Tat, now, booked, cost time.Duration) Tat {
	full := now + booked
	return min(max(max(tat, full)+cost, full), now+2*Most)
}

// Floor returns the least Tat that agrees with a server's report: remaining tokens are left, and
// there are no more before reset is over.
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
