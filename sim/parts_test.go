package sim

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestCalendar compares with sorting.
func TestCalendar(t *testing.T) {
	type event struct {
		at time.Duration
		id uint32
	}
	for _, end := range []time.Duration{1, 1000, time.Second, time.Hour, maxDuration} {
		c := newCalendar(end)
		random := rand.New(rand.NewPCG(1, uint64(end)))
		var want, got []event
		now := time.Duration(0)
		for id := range uint32(20_000) {
			spread := max(end/time.Duration(1<<random.IntN(40)), 1)
			e := event{now + time.Duration(random.Int64N(int64(spread))), id}
			c.push(e.at, e.id)
			if e.at < end {
				want = append(want, e)
			}
			if random.IntN(3) > 0 {
				continue
			}
			limit := now + time.Duration(random.Int64N(int64(end/100+1)))
			if at, id, ok := c.pop(limit); ok {
				if at >= limit || at < now {
					t.Fatalf("popped an event of %v at %v with the limit %v", at, now, limit)
				}
				now = at
				got = append(got, event{at, id})
			}
		}
		for {
			at, id, ok := c.pop(never)
			if !ok {
				break
			}
			got = append(got, event{at, id})
		}
		byTime := func(a, b event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) }
		for i := 1; i < len(got); i++ {
			if got[i].at < got[i-1].at {
				t.Fatalf("end %v: %v comes after %v", end, got[i].at, got[i-1].at)
			}
		}
		slices.SortFunc(want, byTime)
		slices.SortFunc(got, byTime)
		if !slices.Equal(got, want) {
			t.Errorf("end %v: %d events came back of %d", end, len(got), len(want))
		}
	}
}

// TestCalendarTies: events of one moment come in the order of their entities.
func TestCalendarTies(t *testing.T) {
	c := newCalendar(time.Minute)
	for _, id := range rand.Perm(1000) {
		c.push(time.Second, uint32(id))
	}
	for want := range uint32(1000) {
		if _, id, ok := c.pop(never); !ok || id != want {
			t.Fatalf("got %d, %v; want %d", id, ok, want)
		}
	}
}

func TestHistogram(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 31, 32, 63, 64, 65, 1000, ms, time.Hour, maxDuration} {
		i := bucketOf(d)
		if top := upTo(i); top < d || float64(top-d) > float64(d)/steps {
			t.Errorf("%v lands in a bucket up to %v", d, top)
		}
		if i > 0 && upTo(i-1) >= d {
			t.Errorf("%v lands above a bucket up to %v", d, upTo(i-1))
		}
	}
	var counts [buckets]int64
	for i := range 1000 {
		counts[bucketOf(time.Duration(i+1)*ms)]++
	}
	h := histogram(&counts)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 1} {
		near(t, "quantile", h.Quantile(q).Seconds(), q, 0.04)
	}
	if got := (Histogram{}).Quantile(0.5); got != 0 {
		t.Errorf("an empty histogram has a median of %v, want 0", got)
	}
	if h.Quantile(-1) != h.Quantile(0) || h.Quantile(2) != h.Quantile(1) {
		t.Error("quantiles outside [0, 1] are not those at its ends")
	}
}

// TestDistributions compares means and deviations.
func TestDistributions(t *testing.T) {
	const mean, spread = 100 * ms, 30 * ms
	for _, c := range []struct {
		d         Dist
		deviation float64 // in shares of the mean
	}{
		{Dist{Mean: mean}, 1},
		{Dist{Mean: mean, Shape: Exponential}, 1},
		{Dist{Mean: mean, Shape: Constant}, 0},
		{Dist{Mean: mean, Spread: spread, Shape: Uniform}, 0.3 / math.Sqrt(3)},
		{Dist{Mean: mean, Spread: spread, Shape: Normal}, 0.3},
		{Dist{Mean: mean, Spread: spread, Shape: LogNormal}, 0.3},
		{Dist{Mean: mean, Spread: 2 * mean, Shape: LogNormal}, 2},
	} {
		const n = 1_000_000
		d, r := c.d.ready(), newRandom(1, 1)
		var sum, squares float64
		for range n {
			x := float64(d.draw(&r)) / float64(mean)
			sum += x
			squares += x * x
		}
		near(t, string(c.d.Shape)+" mean", sum/n, 1, 0.01)
		got := math.Sqrt(max(squares/n-sum/n*(sum/n), 0))
		if math.Abs(got-c.deviation) > 0.03*max(c.deviation, 0.01) {
			t.Errorf("%s deviation: got %.4f, want %.4f", c.d.Shape, got, c.deviation)
		}
	}
}

// TestArrivals: each second has the calls of the profile.
func TestArrivals(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	s := Scenario{
		Duration: at(60),
		Clients: Clients{Profile: []Rate{
			{at(5), 1000}, {at(10), 1000}, {at(10), 4000}, {at(12), 4000}, {at(12), 0},
			{at(20), 0}, {at(40), 2000},
		}},
	}
	r := play(t, s, nil)
	for second, want := range map[int]float64{
		0: 1000, 4: 1000, 7: 1000, 10: 4000, 11: 4000, 12: 0, 19: 0, 20: 50, 30: 1050, 39: 1950,
		40: 2000, 59: 2000,
	} {
		got := float64(r.Bins[second].Calls)
		if math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("second %d: got %v calls, want about %v", second, got, want)
		}
	}
	near(t, "expected", float64(r.Calls), expected(&s.Clients, s.Duration), 0.02)
	s.Clients.Profile = append(s.Clients.Profile, Rate{at(50), 0})
	near(t, "expected", expected(&s.Clients, s.Duration), 10_000+8000+20_000+10_000, 1e-9)
	near(t, "expected", expected(&s.Clients, at(11)), 10_000+4000, 1e-9)
}
