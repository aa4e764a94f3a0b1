package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
)

// seconds and numbers are the possible distances between ticks, of times and of other numbers.
var (
	seconds = []float64{
		0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300,
		600, 1200, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 432000,
	}
	numbers = decades()
)

func decades() (steps []float64) {
	for e := -3.0; e < 9; e++ {
		for _, m := range []float64{1, 2, 5} {
			steps = append(steps, m*math.Pow(10, e))
		}
	}
	return steps
}

// ticks are round numbers, few enough to be distinct.
type ticks struct {
	steps []float64
	most  float64 // number of steps
	bare  bool    // without numbers
}

// Ticks returns the ticks.
func (t ticks) Ticks(low, high float64) (all []plot.Tick) {
	step := t.steps[len(t.steps)-1]
	for _, s := range t.steps {
		if (high-low)/s <= t.most {
			step = s
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		tick := plot.Tick{Value: i * step, Label: " "} // with "", the grid would have no line here
		if !t.bare {
			tick.Label = brief(tick.Value)
		}
		all = append(all, tick)
	}
	return all
}

// powers are the ticks of a logarithmic scale. It begins at 1, and smaller values are drawn there.
type powers struct{}

// Ticks returns ticks at the powers of 10.
func (powers) Ticks(_, high float64) (all []plot.Tick) {
	for v := 1.0; v <= high; v *= 10 {
		label := brief(v)
		if v == 1 {
			label = "≤ 1"
		}
		all = append(all, plot.Tick{Value: v, Label: label})
	}
	return all
}

// brief formats a round number in a few characters.
func brief(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.6g", v)
}
