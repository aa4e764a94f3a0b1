package hedging

import (
	"math"
	"math/bits"
	"time"
)

// A histogram counts times in buckets that are an eighth of a power of two wide, from 1 µs to
// 5 hours: a percentile is at most 12.5 % too long, and never too short.
const (
	partBits = 3
	lowest   = 10 // the first bucket ends at 1<<lowest ns
	highest  = 44 // the last bucket ends at 1<<highest ns
	buckets  = (highest-lowest)<<partBits + 1

	minSamples  = 20   // before there is a percentile
	manySamples = 1000 // before they are halved
	every       = 25   // samples the percentile is computed anew
)

type histogram struct {
	counts [buckets]uint16
	total  int           // of counts
	added  int           // since delay was computed
	delay  time.Duration // the percentile; 0 = too few samples
}

func (h *histogram) add(d time.Duration, percentile float64) {
	h.counts[bucketOf(d)]++
	h.total++
	if h.total >= manySamples {
		h.halve()
	}
	if h.added++; h.total >= minSamples && (h.delay == 0 || h.added >= every) {
		h.added = 0
		h.delay = h.percentile(percentile)
	}
}

// halve forgets half of the samples. What is left over of a bucket goes to the next one: a few long
// times, which are the percentile, would be lost if each bucket rounded down, and stay for ever if
// it rounded up.
func (h *histogram) halve() {
	h.total = 0
	var carry uint16
	for i, n := range h.counts {
		n += carry
		h.counts[i], carry = n/2, n%2
		h.total += int(n / 2)
	}
}

// percentile returns the end of the bucket below which the share p of the samples lies.
func (h *histogram) percentile(p float64) time.Duration {
	longer := h.total - int(math.Ceil(p*float64(h.total))) // samples that may be longer
	for i := buckets - 1; i > 0; i-- {
		if longer -= int(h.counts[i]); longer < 0 {
			return endOf(i)
		}
	}
	return endOf(0)
}

// bucketOf returns the bucket of a time: the first has all that are shorter than 1<<lowest ns, the
// last all that are longer than the others hold.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	power := bits.Len64(n) - 1
	switch {
	case power < lowest:
		return 0
	case power >= highest:
		return buckets - 1
	}
	part := n >> (power - partBits) & (1<<partBits - 1)
	return (power-lowest)<<partBits + int(part) + 1
}

// endOf returns the shortest time that is too long for a bucket and those before it.
func endOf(i int) time.Duration {
	power, part := lowest+i>>partBits, i&(1<<partBits-1)
	return time.Duration(1)<<power + time.Duration(part)<<(power-partBits)
}
