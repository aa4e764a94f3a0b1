package hedging

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A bucket holds the times that are shorter than its end and not shorter than the end before.
func TestBuckets(t *testing.T) {
	for i := range buckets {
		end := endOf(i)
		if got := bucketOf(end - 1); got != i {
			t.Fatalf("%v, just below the end of bucket %d, is in bucket %d", end-1, i, got)
		}
		if got, want := bucketOf(end), min(i+1, buckets-1); got != want {
			t.Fatalf("%v, the end of bucket %d, is in bucket %d", end, i, got)
		}
		if i > 0 && float64(end) > 1.126*float64(endOf(i-1)) {
			t.Errorf("bucket %d ends at %v, more than an eighth above %v", i, end, endOf(i-1))
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, 1<<63 - 1} {
		if i := bucketOf(d); d <= 1 && i != 0 || d > 1 && i != buckets-1 {
			t.Errorf("%d ns are in bucket %d", d, i)
		}
	}
}

// The delay against the percentile of the same samples, sorted.
func TestPercentile(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, p := range []float64{.5, .9, .95, .99} {
			var s State
			var all []time.Duration
			for len(all) < 20+r.IntN(900) {
				d := time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
				all = append(all, d)
				s.Success(Config{Percentile: p}, d)
				if got := s.Delay(Config{Percentile: p}); (len(all) < minSamples) != (got == 0) {
					t.Fatalf("%d samples: a delay of %v", len(all), got)
				}
			}
			got := s.times.percentile(p)
			slices.Sort(all)
			want := all[max(int(p*float64(len(all))+.999999)-1, 0)]
			if got <= want || float64(got) > 1.126*float64(want)+2000 {
				t.Errorf("seed %d: percentile %v of %d samples is %v, want one bucket above %v",
					seed, p, len(all), got, want)
			}
		}
	}
}

// A service that becomes ten times as slow is hedged later within a tenth of the samples, and
// one that recovers sooner again.
func TestDelayFollows(t *testing.T) {
	var s State
	c := Config{}
	feed := func(n int, d time.Duration) {
		for range n {
			s.Success(c, d)
		}
	}
	const fast, slow = 10 * time.Millisecond, 100 * time.Millisecond
	feed(5000, fast)
	if d := s.Delay(c); d < fast || d > 12*time.Millisecond {
		t.Errorf("the delay is %v for answers of %v", d, fast)
	}
	if n := s.Samples(); n < manySamples/2-1 || n >= manySamples {
		t.Errorf("the delay rests on %d samples", n)
	}
	feed(manySamples/10, slow)
	if d := s.Delay(c); d < slow {
		t.Errorf("the delay is %v after %d answers of %v", d, manySamples/10, slow)
	}
	feed(3*manySamples, fast)
	if d := s.Delay(c); d > 12*time.Millisecond {
		t.Errorf("the delay is %v long after the last answer of %v", d, slow)
	}
}

// Halving keeps the order of the samples: a few long ones are neither lost nor kept for ever.
func TestHalve(t *testing.T) {
	var h histogram
	for i := range 10 {
		h.counts[100+i] = 1
	}
	h.total = 10
	for _, want := range []int{5, 2, 1, 0} {
		if h.halve(); h.total != want {
			t.Fatalf("%d samples are left, want %d", h.total, want)
		}
	}
}

func TestShare(t *testing.T) {
	rows := []struct {
		calls, hedges int    // that end, and that begin, before
		denied        string // to the next
	}{
		{0, 0, ""},
		{0, 0, ""},
		{0, 0, ""},
		{0, 0, Share},
		{29, 0, Share},
		{1, 0, ""},
		{9, 0, Share},
		{1, 0, ""},
	}
	var s State
	for i, row := range rows {
		for range row.calls {
			s.End()
		}
		if got := s.Hedge(0); got != row.denied {
			t.Errorf("row %d: denied %q, want %q", i, got, row.denied)
		}
	}
}

// However calls and hedges come, hedges are a tenth of the calls, and one; three at the beginning.
func TestShareHolds(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s State
		calls, hedges := 0, 0
		for range 20000 {
			if r.Float64() < .5 {
				s.End()
				calls++
			} else if s.Hedge(0) == "" {
				hedges++
			}
			if hedges > max(calls, 20)/10+1 {
				t.Fatalf("seed %d: %d hedges of %d calls", seed, hedges, calls)
			}
		}
		if hedges < calls/10-1 {
			t.Errorf("seed %d: %d hedges of %d calls, more are allowed", seed, hedges, calls)
		}
	}
}

func TestUndo(t *testing.T) {
	var s State
	for range 3 {
		if denied := s.Hedge(0); denied != "" {
			t.Error(denied)
		}
		s.Undo()
	}
	s.Undo()
	if s.hedges != 0 {
		t.Errorf("%d hedges are counted", s.hedges)
	}
}

func TestThrottle(t *testing.T) {
	for _, row := range []struct{ after, pause time.Duration }{
		{0, minPause},
		{-1, minPause},
		{5 * time.Second, 5 * time.Second},
		{24 * time.Hour, maxPause},
		{1<<63 - 1, maxPause},
	} {
		for _, now := range []time.Duration{time.Hour, -1000 * time.Hour} {
			var s State
			if got := s.Hedge(now); got != "" {
				t.Errorf("denied %q at %v", got, now)
			}
			s.Undo()
			s.Throttle(now, row.after)
			s.Throttle(now, 0) // shortens nothing
			if got := s.Hedge(now + row.pause - 1); got != Throttled {
				t.Errorf("after %v: denied %q within the pause", row.after, got)
			}
			if got := s.Hedge(now + row.pause); got != "" {
				t.Errorf("after %v: denied %q when it is over", row.after, got)
			}
		}
	}
}
