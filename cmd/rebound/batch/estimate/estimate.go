// Package estimate predicts the cost and the time of the rest of a batch from a few of its rows.
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

// Sample has the measurements of one row.
type Sample struct {
	Seconds float64 // of the last round, without waits for limits
	USD     float64
	Tokens  float64
}

// Rest is the rest of a batch, with the samples to estimate it from.
type Rest struct {
	Rows             int
	InFlight         int     // requests at a time
	Requests, Tokens float64 // limits per minute; 0 = unknown
	Priced           bool    // Samples have costs
	Samples          []Sample
	Failed           int // rows that failed; they are not in Samples
}

// Range has the 10th and the 90th percentile of an estimate.
type Range struct{ Low, High float64 }

// Estimate is the result of Of.
type Estimate struct {
	USD     Range
	Seconds Range
	Binds   string // the limit that determines the time
}

const (
	resamples = 1000   // drawn from the samples for each range
	mostRows  = 20_000 // simulated at most; the time of more rows is extrapolated
)

// Of estimates the rest. The range of a mean comes from a bootstrap: the samples are resampled,
// with replacement. The time comes from a simulation of the rows under the limits.
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

// rangeOf returns the bootstrap range of the mean of of(s) over the samples.
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

// play simulates the rows, with these means per row. It returns the seconds that they take, and the
// limit that binds.
func (r Rest) play(seconds, tokens float64) (took float64, binds string, err error) {
	perSecond, binds := r.pace(seconds, tokens)
	clients := max(min(r.InFlight, r.Rows), 1)
	rows := min(r.Rows, max(mostRows, 4*clients))
	calls := max((rows+clients/2)/clients, 1)
	alone := float64(rows) * seconds / float64(clients) // seconds, if only the latency counts
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
			Mean: time.Duration(seconds * float64(time.Second)), Spread: r.spread(seconds),
			Shape: sim.LogNormal,
		}},
		Policies: []*rebound.Policy{p},
	})
	if err != nil {
		return 0, "", err
	}
	share := float64(r.Rows) / float64(calls*clients)
	return result.Policies[0].End.Seconds() * share, binds, nil
}

// pace returns the lowest of the limits in rows per second; 0 = no limit. binds describes what is
// slowest, the latency included.
func (r Rest) pace(seconds, tokens float64) (perSecond float64, binds string) {
	binds = fmt.Sprintf("%d requests at a time that take %.2g s each", r.InFlight, seconds)
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
			binds = fmt.Sprintf("%.0f tokens per minute, at %.0f per row", r.Tokens, tokens)
		}
	}
	return perSecond, binds
}

// spread returns the standard deviation of rows whose mean is that many seconds. It has the same
// share of the mean as that of the samples. With the spread of the samples, a lower mean would have
// slower slowest rows.
func (r Rest) spread(seconds float64) time.Duration {
	var mean, square float64
	for _, s := range r.Samples {
		mean += s.Seconds / float64(len(r.Samples))
	}
	for _, s := range r.Samples {
		square += (s.Seconds - mean) * (s.Seconds - mean) / float64(len(r.Samples))
	}
	if mean == 0 {
		return 0
	}
	return time.Duration(math.Sqrt(square) * seconds / mean * float64(time.Second))
}

// Text returns the estimate as lines of text.
func Text(r Rest) string {
	if r.Rows == 0 {
		return "estimate: no rows are left\n"
	}
	if len(r.Samples) == 0 {
		return fmt.Sprintf("estimate: none: no row of the probe succeeded (%d failed)\n", r.Failed)
	}
	e, err := Of(r)
	if err != nil {
		return fmt.Sprintf("estimate: none: %v\n", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "estimate for the other %d rows, from %d results", r.Rows, len(r.Samples))
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
