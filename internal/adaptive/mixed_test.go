package adaptive

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// clients keep as many attempts in flight at a server as a limit allows.
type clients struct {
	config *Config
	law    Limit
	random *rand.Rand
	median time.Duration // of the latency, which is log-normal
	sigma  float64
	slots  []time.Duration // of the server, with the time when each is free; nil = any number

	now  time.Duration
	open attempts // in flight
	done int
}

type attempt struct {
	begin, end time.Duration
	inFlight   int
}

// attempts is a heap by the time of the end.
type attempts []attempt

func (a attempts) Len() int           { return len(a) }
func (a attempts) Less(i, j int) bool { return a[i].end < a[j].end }
func (a attempts) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *attempts) Push(x any)        { *a = append(*a, x.(attempt)) }
func (a *attempts) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

// run lets the attempts run until then.
func (c *clients) run(until time.Duration) {
	for {
		for len(c.open) < c.law.Now(c.config) {
			heap.Push(&c.open, attempt{c.now, c.served(), len(c.open) + 1})
		}
		if c.open[0].end > until {
			return
		}
		a := heap.Pop(&c.open).(attempt)
		c.now = a.end
		c.done++
		c.law.Add(c.config, c.now, Sample{a.end - a.begin, a.inFlight, Served})
	}
}

// served is when the server will have served an attempt that begins now.
func (c *clients) served() time.Duration {
	takes := time.Duration(float64(c.median) * math.Exp(c.sigma*c.random.NormFloat64()))
	if c.slots == nil {
		return c.now + takes
	}
	first := 0
	for i, free := range c.slots {
		if free < c.slots[first] {
			first = i
		}
	}
	c.slots[first] = max(c.slots[first], c.now) + takes
	return c.slots[first]
}

// Language models answer after seconds, some much later than others. In the first seconds only the
// fast attempts end. The others that follow must not look like a queue at the server.
func TestMixedLatencies(t *testing.T) {
	const end = 10 * time.Minute
	batch := Config{Initial: 64, Max: 256, SlowStart: true}
	for _, row := range []struct {
		name    string
		config  Config
		median  time.Duration
		sigma   float64
		slots   int
		share   float64 // of the attempts that a limit at Max would have made, at least
		highest int     // the highest limit at the end
	}{
		{"0.1 s", batch, 100 * ms, 1, 0, 0.95, 256},
		{"2 s", batch, 2 * time.Second, 1, 0, 0.95, 256},
		{"5 s", batch, 5 * time.Second, 0.7, 0, 0.9, 256},
		{"5 s, wide", batch, 5 * time.Second, 1.2, 0, 0.8, 256},
		{"15 s", batch, 15 * time.Second, 0.7, 0, 0.8, 256},
		{"no slow start, 2 s", Config{Max: 256}, 2 * time.Second, 1, 0, 0.7, 256},
		{"no slow start, 10 s", Config{Max: 128}, 10 * time.Second, 0.7, 0, 0.7, 128},
		{"a full server", batch, time.Second, 0.5, 32, 0.95, 256},
		{"a full server, no bound", Config{Max: 1000, SlowStart: true}, 3 * time.Second, 1, 32,
			0.9, 400},
	} {
		for seed := range uint64(5) {
			c := &clients{config: &row.config, random: rand.New(rand.NewPCG(seed, 1)), median: row.median,
				sigma: row.sigma, slots: make([]time.Duration, row.slots)}
			if row.slots == 0 {
				c.slots = nil
			}
			c.run(end)
			mean := float64(row.median) * math.Exp(row.sigma*row.sigma/2)
			places := row.config.Max
			if row.slots > 0 {
				places = min(places, row.slots)
			}
			possible := float64(places) * float64(end) / mean
			t.Logf("%s, seed %d: %d of %.0f attempts, limit %d", row.name, seed, c.done, possible,
				c.law.Now(c.config))
			if float64(c.done) < row.share*possible {
				t.Errorf("%s, seed %d: %d of %.0f possible attempts, want %v of them", row.name, seed,
					c.done, possible, row.share)
			}
			if n := c.law.Now(c.config); n > row.highest {
				t.Errorf("%s, seed %d: limit %d, want at most %d", row.name, seed, n, row.highest)
			}
		}
	}
}

// When later requests take longer, for example because they go to a larger model, the limit falls
// at first, as for a queue. It rises when that has not helped. With a queue it stays low.
func TestSlowerServer(t *testing.T) {
	for _, row := range []struct {
		name           string
		later          time.Duration
		slots          int // of the server then; 0 = any number
		least, highest int // of the limit, after four more minutes
	}{
		{"1 s", time.Second, 0, 64, 64},
		{"5 s", 5 * time.Second, 0, 64, 64},
		{"a queue", 250 * ms, 8, 1, 45},
	} {
		for seed := range uint64(5) {
			c := &clients{config: &Config{Initial: 48, Max: 64, SlowStart: true}, median: 250 * ms,
				sigma: 0.3, random: rand.New(rand.NewPCG(seed, 1))}
			c.run(2 * time.Minute)
			if n := c.law.Now(c.config); n != 64 {
				t.Errorf("%s, seed %d: limit %d before, want 64", row.name, seed, n)
			}
			if c.median = row.later; row.slots > 0 {
				c.slots = make([]time.Duration, row.slots)
			}
			lowest := 64
			for second := range 240 {
				c.run(2*time.Minute + time.Duration(second+1)*time.Second)
				lowest = min(lowest, c.law.Now(c.config))
			}
			n := c.law.Now(c.config)
			t.Logf("%s, seed %d: limit %d, lowest %d", row.name, seed, n, lowest)
			if n < row.least || n > row.highest || lowest > 40 {
				t.Errorf("%s, seed %d: limit %d, lowest %d; want %d to %d in the end, and a lower one "+
					"before", row.name, seed, n, lowest, row.least, row.highest)
			}
		}
	}
}
