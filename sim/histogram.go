package sim

import (
	"math"
	"math/bits"
	"sort"
	"time"
)

// Histogram is a distribution of times. Counts[i] times were longer than UpTo[i−1] and at most
// UpTo[i]. Bounds are about 3 % apart. Empty buckets are left out.
type Histogram struct {
	UpTo   []time.Duration
	Counts []int64
}

// Quantile returns a time that the share q of the times, in [0, 1], do not exceed. It is at most
// about 3 % too long, and 0 if there are no times. Quantile(0.5) is the median.
func (h Histogram) Quantile(q float64) time.Duration {
	var total int64
	sums := make([]int64, len(h.Counts))
	for i, n := range h.Counts {
		total += n
		sums[i] = total
	}
	if total == 0 {
		return 0
	}
	// The rank-th smallest time is the first that the share q does not exceed. NaN, and numbers
	// outside [0, 1], count as the nearest end.
	rank := max(int64(math.Ceil(min(max(q, 0), 1)*float64(total))), 1)
	// The sums only grow, so a binary search finds the bucket.
	return h.UpTo[sort.Search(len(sums)-1, func(i int) bool { return sums[i] >= rank })]
}

const (
	steps   = 32 // buckets for each doubling
	buckets = 60 * steps
)

// bucketOf returns the bucket of a time. Buckets below steps are 1 ns wide. Above, the highest bits
// decide, as in HdrHistogram.
func bucketOf(d time.Duration) int {
	if d < steps {
		return int(max(d, 0))
	}
	shift := bits.Len64(uint64(d)) - bits.Len(steps)
	return shift*steps + int(d>>shift)
}

// upTo is the longest time of a bucket.
func upTo(i int) time.Duration {
	if i < 2*steps {
		return time.Duration(i)
	}
	shift := i/steps - 1
	return time.Duration(i-shift*steps+1)<<shift - 1
}

// histogram leaves out empty buckets, which most of the 1,920 are.
func histogram(counts *[buckets]int64) Histogram {
	var h Histogram
	for i, n := range counts {
		if n > 0 {
			h.UpTo = append(h.UpTo, upTo(i))
			h.Counts = append(h.Counts, n)
		}
	}
	return h
}
