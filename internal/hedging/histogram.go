package hedging

import (
	"math"
	"math/bits"
	"time"
)

// Times are counted in buckets that are an eighth of a power of two wide, from 1 µs to 5 hours. So
// a percentile is at most 12.5 % too long, and never too short.
const (
	partBits = 3
	lowest   = 10 // the first bucket ends at 1<<lowest ns
	highest  = 44 // the last bucket ends at 1<<highest ns
	buckets  = (highest-lowest)<<partBits + 1

	minSamples  = 20   // from which there is a percentile
	manySamples = 1000 // from which the counts are halved
	every       = 25   // samples between two computations of the percentile
)

// histogram has fixed buckets, so that adding a time allocates nothing and costs the same for any
// time.
type histogram struct {
	counts [buckets]uint16
	total  int           // of counts
	added  int           // since delay was computed
	delay  time.Duration // the percentile; 0 = too few samples
}

// add counts a time. The percentile needs a pass over all buckets, so it is computed only after
// every samples.
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

// halve forgets half of the samples. The odd sample of a bucket moves to the next bucket. The few
// long times decide the percentile: they would be lost if every bucket rounded down, and would stay
// for ever if every bucket rounded up.
func (h *histogram) halve() {
	h.total = 0
	var carry uint16
	for i, n := range h.counts {
		n += carry
		h.counts[i], carry = n/2, n%2
		h.total += int(n / 2)
	}
}

// percentile returns the end of the bucket below which the share p of the samples lies. It counts
// from the long end, which is nearer.
func (h *histogram) percentile(p float64) time.Duration {
	longer := h.total - int(math.Ceil(p*float64(h.total))) // samples that may be longer
	for i := buckets - 1; i > 0; i-- {
		if longer -= int(h.counts[i]); longer < 0 {
			return endOf(i)
		}
	}
	return endOf(0)
}

// bucketOf returns the bucket of a time. The first bucket holds everything shorter than 1<<lowest
// ns, the last everything longer than the others hold.
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

// endOf returns the shortest time that is too long for bucket i and all buckets before it.
func endOf(i int) time.Duration {
	power, part := lowest+i>>partBits, i&(1<<partBits-1)
	return time.Duration(1)<<power + time.Duration(part)<<(power-partBits)
}
