package chart

import (
	"math"
	"slices"

	"github.com/rebound-go/rebound/sim"
)

// mostPoints is how many points of a line a reader can distinguish. If there are more, bins are
// merged.
const mostPoints = 600

// panel is one kind of number over time, or over the values of a sweep.
type panel struct {
	label  string
	lines  [][]float64    // for each policy, a value for each step
	ranges [][][2]float64 // for each of the values, the least and the most; nil = none
	log    bool
	zoom   bool // the scale need not begin at 0
	always bool // drawn even if all values are 0
}

// kinds are the possible panels over time. value computes a point from bins that together are width
// seconds long.
var kinds = []struct {
	label  string
	always bool
	value  func(bins []sim.Bin, width float64) float64
}{
	{"attempts per s", true, func(bins []sim.Bin, width float64) float64 {
		return sum(bins, func(b *sim.Bin) int64 { return b.Attempts }) / width
	}},
	{"calls answered per s", true, func(bins []sim.Bin, width float64) float64 {
		return sum(bins, func(b *sim.Bin) int64 { return b.OK }) / width
	}},
	{"retries per s", false, func(bins []sim.Bin, width float64) float64 {
		return sum(bins, func(b *sim.Bin) int64 { return b.Retries }) / width
	}},
	{"attempts in queue", false, func(bins []sim.Bin, _ float64) float64 {
		longest := func(a, b sim.Bin) int { return a.Queue - b.Queue }
		return float64(slices.MaxFunc(bins, longest).Queue)
	}},
	{"attempts in queues of layers", false, func(bins []sim.Bin, _ float64) float64 {
		longest := func(a, b sim.Bin) int { return a.LayerQueue - b.LayerQueue }
		return float64(slices.MaxFunc(bins, longest).LayerQueue)
	}},
	{"attempts in queues of limits", false, func(bins []sim.Bin, _ float64) float64 {
		longest := func(a, b sim.Bin) int { return a.Waiting - b.Waiting }
		return float64(slices.MaxFunc(bins, longest).Waiting)
	}},
	{"adaptive limit", false, func(bins []sim.Bin, _ float64) float64 {
		return bins[len(bins)-1].Limit
	}},
	{"breakers open, %", false, func(bins []sim.Bin, _ float64) float64 {
		return 100 * bins[len(bins)-1].Open
	}},
}

func sum(bins []sim.Bin, of func(*sim.Bin) int64) float64 {
	var total int64
	for i := range bins {
		total += of(&bins[i])
	}
	return float64(total)
}

// panels returns the panels that have something to show, and the width of a step in seconds.
func panels(r sim.Result) (all []panel, step float64) {
	bins := len(r.Policies[0].Bins)
	merge := max((bins+mostPoints-1)/mostPoints, 1)
	step = r.Scenario.Bin.Seconds() * float64(merge)
	for _, k := range kinds {
		p := panel{label: k.label, always: k.always}
		for _, policy := range r.Policies {
			var line []float64
			for part := range slices.Chunk(policy.Bins, merge) {
				line = append(line, k.value(part, r.Scenario.Bin.Seconds()*float64(len(part))))
			}
			p.lines = append(p.lines, line)
		}
		if p.always || p.max() > 0 {
			p.log = p.steep()
			all = append(all, p)
		}
	}
	return all, step
}

// title returns the text above the panel. A label at the vertical axis would be rotated.
func (p *panel) title() string {
	if p.log {
		return p.label + " (logarithmic)"
	}
	return p.label
}

func (p *panel) max() (most float64) {
	for _, line := range p.lines {
		most = max(most, slices.Max(line))
	}
	return most
}

// bounds returns a scale that shows how the values differ. It covers at least a tenth of the
// highest value, so that small differences look small.
func (p *panel) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for i, line := range p.lines {
		for j, v := range line {
			low, high = min(low, v), max(high, v)
			if p.ranges != nil {
				low, high = min(low, p.ranges[i][j][0]), max(high, p.ranges[i][j][1])
			}
		}
	}
	span := max(high-low, high/10, 1e-3)
	middle := (low + high) / 2
	return max(middle-0.6*span, 0), middle + 0.6*span
}

// steep reports whether a linear scale would show most values as almost 0, because of a peak or
// another line.
func (p *panel) steep() bool {
	var positive []float64
	for _, line := range p.lines {
		for _, v := range line {
			if v > 0 {
				positive = append(positive, v)
			}
		}
	}
	if len(positive) == 0 {
		return false
	}
	slices.Sort(positive)
	return p.max() > 50*positive[len(positive)/2]
}
