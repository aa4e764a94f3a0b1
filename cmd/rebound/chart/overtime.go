package chart

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/sim"
)

// overTime returns the figure of a result over time.
func overTime(r sim.Result) *figure {
	s := r.Scenario
	f := &figure{title: s.Name, about: s.About}
	var step float64
	f.panels, step = panels(r)
	f.x = axis{
		label: "time in s", high: s.Duration.Seconds(), step: step, stairs: true,
		ticks: ticks{steps: seconds, most: 12}, bare: ticks{steps: seconds, most: 12, bare: true},
	}
	for _, w := range s.Server.Windows {
		to := min(w.To+w.Ramp, s.Duration)
		f.shades = append(f.shades, [2]float64{w.From.Seconds(), to.Seconds()})
	}
	if len(f.shades) > 0 {
		width := time.Duration(step * float64(time.Second)).Round(time.Microsecond)
		f.note = fmt.Sprintf("grey: trouble; a step is %v", width)
	}
	f.table = [][]string{{
		"policy", "calls", "succeeded", "failed", "attempts", "retries", "rejected by a budget",
	}}
	for _, p := range r.Policies {
		f.names = append(f.names, p.Policy)
		f.table = append(f.table, append([]string{p.Policy},
			counts(p.Calls, p.OK, p.Failed, p.Attempts, p.Retries, p.Denied)...))
	}
	return f.size()
}

func counts(all ...int64) (words []string) {
	for _, n := range all {
		words = append(words, fmt.Sprint(n))
	}
	return words
}
