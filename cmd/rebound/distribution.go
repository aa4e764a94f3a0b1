package main

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// times describes a random time by its bounds and its mean.
type times struct{ Least, Mean, Most time.Duration }

func (t times) plus(u times) times {
	return times{sum(t.Least, u.Least), sum(t.Mean, u.Mean), sum(t.Most, u.Most)}
}

// MarshalJSON writes seconds.
func (t times) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]float64{
		"least": t.Least.Seconds(), "mean": t.Mean.Seconds(), "most": t.Most.Seconds(),
	})
}

// sum adds without overflow: the result is at most the longest duration.
func sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// samples is the number of evenly spaced values that represent the distribution of a delay.
const samples = 256

// waits computes the distributions of the delays in order. A delay may depend on the previous one,
// whose distribution is kept as quantiles. No random numbers are drawn.
type waits struct {
	decide      func(n int, prev time.Duration, u float64) time.Duration
	least, most time.Duration
	prev        []time.Duration
	last        times // what next returned last
	settled     bool  // next returns last from now on
}

// errAny is retried by every policy, because its mark outranks predicates.
var errAny = rebound.Transient(errors.New("any failure"))

func newWaits(p *rebound.Policy, kind fault.Kind) *waits {
	p = p.Clone()
	p.Attempts, p.MaxElapsed = rebound.Unlimited, 0
	return &waits{
		prev: []time.Duration{0},
		decide: func(n int, prev time.Duration, u float64) time.Duration {
			s := rebound.State{Attempt: n, Prev: prev, U: u}
			return p.Decide(s, fault.Fault{Kind: kind, Sent: fault.NotSent, Err: errAny}).Delay
		},
	}
}

// next returns the delay after attempt n. It must be called with n = 1, 2, 3 and so on.
func (w *waits) next(n int) times {
	if w.settled {
		return w.last
	}
	chained := w.chained(n)
	if !chained {
		w.prev = w.prev[:1] // the previous delay has no effect
	}
	least, most := w.decide(n, w.least, 0), w.decide(n, w.most, math.Nextafter(1, 0))
	all := make([]time.Duration, 0, len(w.prev)*samples)
	mean := 0.0
	for _, prev := range w.prev {
		for i := range samples {
			d := w.decide(n, prev, (float64(i)+0.5)/samples)
			all = append(all, d)
			mean += float64(d)
		}
	}
	slices.Sort(all)
	quantiles := make([]time.Duration, samples)
	for i := range quantiles {
		quantiles[i] = all[(2*i+1)*len(all)/(2*samples)]
	}
	// If delays depend only on the previous one, two equal distributions in a row mean that all
	// later ones are equal, too.
	w.settled = chained && n > 1 && least == w.least && most == w.most &&
		slices.Equal(quantiles, w.prev)
	w.least, w.most, w.prev = least, most, quantiles
	mean = min(math.Round(mean/float64(len(all))), float64(w.most))
	w.last = times{w.least, w.most, w.most}
	if mean < float64(w.most) {
		w.last.Mean = time.Duration(mean)
	}
	return w.last
}

// chained reports whether the delay after attempt n depends on the previous delay.
func (w *waits) chained(n int) bool {
	for i := range 3 {
		u := float64(i) / 3
		if w.decide(n, w.least, u) != w.decide(n, w.most, u) {
			return true
		}
	}
	return false
}
