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

// times is a random time: its bounds and its mean.
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

// sum adds, and stays at the longest duration there is.
func sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// samples is how many evenly spread values stand for a wait's distribution.
const samples = 256

// waits computes the distribution of one wait after the other. A wait may depend on the one before
// it, whose distribution is kept as its quantiles; so there is no randomness in it.
type waits struct {
	decide      func(n int, prev time.Duration, u float64) time.Duration
	least, most time.Duration
	prev        []time.Duration
}

// errAny is worth another attempt whatever a policy retries: a mark outranks predicates.
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

// next is the wait after attempt n; it is called for n = 1, 2, 3 and so on.
func (w *waits) next(n int) times {
	w.least = w.decide(n, w.least, 0)
	w.most = w.decide(n, w.most, math.Nextafter(1, 0))
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
	w.prev = w.prev[:0]
	for i := range samples {
		w.prev = append(w.prev, all[(2*i+1)*len(all)/(2*samples)])
	}
	mean = math.Round(mean / float64(len(all)))
	if mean >= float64(w.most) {
		return times{w.least, w.most, w.most}
	}
	return times{w.least, time.Duration(mean), w.most}
}
