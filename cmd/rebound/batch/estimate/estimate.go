// Package estimate foresees what the rest of a batch takes, by what a few of its rows took.
package estimate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/sim"
)

// Sample is what one row took.
type Sample struct {
	Seconds float64 // of its last round
	USD     float64
	Tokens  float64
}

// Rest is what is left of a batch, and what is known about it.
type Rest struct {
	Rows             int
	InFlight         int     // requests at a time
	Requests, Tokens float64 // per minute; 0 = no limit is known
	Priced           bool    // there are prices
	Samples          []Sample
	Failed           int // rows that failed beside the samples
}

// Range is the tenth and the ninetieth percentile.
type Range struct{ Low, High float64 }

// Estimate is what the rest may take.
type Estimate struct {
	USD     Range
	Seconds Range
	Binds   string // what the time depends on
}

const (
	resamples = 1000   // of the samples, for each range
	mostRows  = 20_000 // that are played; more take as much longer
)

// Of estimates the rest. The range of a mean comes from drawing as many samples, again and again.
// The time comes from the simulator, which plays the rows through the limits.
func Of(r Rest) (Estimate, error) {
	rows := float64(r.Rows)
	usd := rangeOf(r.Samples, func(s Sample) float64 { return s.USD })
	e := Estimate{USD: Range{usd.Low * rows, usd.High * rows}}
	seconds := rangeOf(r.Samples, func(s Sample) float64 { return s.Seconds })
	tokens := rangeOf(r.Samples, func(s Sample) float64 { return s.Tokens })
	var err error
	if e.Seconds.Low, _, err = r.play(seconds.Low, tokens.Low); err != nil {
		return e, err
	}
	e.Seconds.High, e.Binds, err = r.play(seconds.High, tokens.High)
	return e, err
}

// rangeOf is where the mean of what the samples have lies.
func rangeOf(samples []Sample, of func(Sample) float64) Range {
	rng := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, resamples)
	for i := range means {
		for range samples {
			means[i] += of(samples[rng.IntN(len(samples))]) / float64(len(samples))
		}
	}
	slices.Sort(means)
	return Range{means[resamples/10], means[resamples*9/10]}
}

// play simulates the rows, with these means of each. It returns the seconds that they take, and
// what binds.
func (r Rest) play(seconds, tokens float64) (took float64, binds string, err error) {
	perSecond, binds := r.pace(seconds, tokens)
	clients := max(min(r.InFlight, r.Rows), 1)
	rows := min(r.Rows, max(mostRows, 4*clients))
	calls := max((rows+clients/2)/clients, 1)
	alone := float64(rows) * seconds / float64(clients) // if nothing but the latency counts
	p := &rebound.Policy{Name: "batch", Attempts: 1}
	if perSecond > 0 {
		p.Gates = []gate.Gate{&limit.Rate{
			N: perSecond, Burst: max(int(perSecond), 1), Wait: math.MaxInt64,
		}}
		alone += float64(rows) / perSecond
	}
	duration := min(time.Duration((2*alone+60)*float64(time.Second)), 30*24*time.Hour)
	result, err := sim.Run(sim.Scenario{
		Duration: duration, Bin: max(duration/1000, time.Millisecond),
		Clients: sim.Clients{Count: clients, Calls: calls, Burst: true, Processes: 1},
		Server: sim.Server{Service: sim.Dist{
			Mean: time.Duration(seconds * float64(time.Second)), Spread: r.spread(), Shape: sim.LogNormal,
		}},
		Policies: []*rebound.Policy{p},
	})
	if err != nil {
		return 0, "", err
	}
	share := float64(r.Rows) / float64(calls*clients)
	return result.Policies[0].End.Seconds() * share, binds, nil
}

// pace is the lowest of the limits, in rows per second; 0 is none.
func (r Rest) pace(seconds, tokens float64) (perSecond float64, binds string) {
	binds = fmt.Sprintf("%d requests at a time, of %.2g s each", r.InFlight, seconds)
	lowest := math.Inf(1)
	if seconds > 0 {
		lowest = float64(r.InFlight) / seconds
	}
	if n := r.Requests / 60; n > 0 {
		perSecond = n
		if n < lowest {
			lowest, binds = n, fmt.Sprintf("%.0f requests per minute", r.Requests)
		}
	}
	if n := r.Tokens / 60 / tokens; r.Tokens > 0 && tokens > 0 {
		if perSecond == 0 || n < perSecond {
			perSecond = n
		}
		if n < lowest {
			binds = fmt.Sprintf("%.0f tokens per minute, at %.0f for a row", r.Tokens, tokens)
		}
	}
	return perSecond, binds
}

// spread is the standard deviation of the samples' times.
func (r Rest) spread() time.Duration {
	var mean, square float64
	for _, s := range r.Samples {
		mean += s.Seconds / float64(len(r.Samples))
	}
	for _, s := range r.Samples {
		square += (s.Seconds - mean) * (s.Seconds - mean) / float64(len(r.Samples))
	}
	return time.Duration(math.Sqrt(square) * float64(time.Second))
}

// Text returns the estimate for people.
func Text(r Rest) string {
	if r.Rows == 0 {
		return "estimate: nothing is left\n"
	}
	if len(r.Samples) == 0 {
		return fmt.Sprintf("estimate: none, since all of %d rows failed\n", r.Failed)
	}
	e, err := Of(r)
	if err != nil {
		return fmt.Sprintf("estimate: none: %v\n", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "estimate for the other %d rows, by %d that are done", r.Rows, len(r.Samples))
	if r.Failed > 0 {
		fmt.Fprintf(&text, " (%d failed)", r.Failed)
	}
	text.WriteString(":\n")
	if r.Priced {
		fmt.Fprintf(&text, "  cost  $%.2f to $%.2f more\n", e.USD.Low, e.USD.High)
	}
	fmt.Fprintf(&text, "  time  %s to %s\n", span(e.Seconds.Low), span(e.Seconds.High))
	fmt.Fprintf(&text, "  bound by %s\n", e.Binds)
	return text.String()
}

func span(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < time.Minute:
		return d.Round(time.Second / 10).String()
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}
