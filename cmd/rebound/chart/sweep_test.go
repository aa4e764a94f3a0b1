package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/sim"
)

func sweep() Sweep {
	point := func(rates ...float64) (all []sim.PolicyResult) {
		for _, r := range rates {
			all = append(all, sim.PolicyResult{SuccessRate: r, Amplification: 1 + r})
		}
		return all
	}
	return Sweep{
		Title: "small", About: "<two> values", Field: "attempts", Values: []string{"1", "many"},
		Lines: []Line{
			{"first", [][]sim.PolicyResult{point(0.7, 0.8, 0.9), point(0.9, 0.9, 0.9)}},
			{"second", [][]sim.PolicyResult{point(0.5, 0.5, 0.5), point(0.6, 0.7, 0.8)}},
		},
	}
}

// A point is the mean of its runs, and has their range. A measure that is 0 everywhere is left out.
func TestSweepFigure(t *testing.T) {
	f := overValues(sweep())
	if len(f.panels) != 2 || f.note != "mean and range of 3 runs" {
		t.Fatalf("got %d panels, note %q; want 2 of success and attempts", len(f.panels), f.note)
	}
	p := f.panels[0]
	if got := p.lines[0][0]; got < 79.99 || got > 80.01 || p.ranges[0][0] != [2]float64{70, 90} {
		t.Errorf("got a mean of %v, a range of %v; want 80, 70 to 90", got, p.ranges[0][0])
	}
	if low, high := p.bounds(); low > 50 || low < 40 || high < 90 || high > 100 {
		t.Errorf("got a scale from %v to %v, want one that has 50 to 90 in it", low, high)
	}
	single := sweep()
	for _, line := range single.Lines {
		for i := range line.Points {
			line.Points[i] = line.Points[i][:1]
		}
	}
	if f := overValues(single); f.panels[0].ranges != nil || f.note != "" {
		t.Error("one run has ranges, want none")
	}
}

func TestSweepIsDrawn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.svg", "a.png", "a.html"} {
		path := filepath.Join(dir, name)
		if err := DrawSweep(path, sweep()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first", "second", "many", "attempts per call", "&lt;two&gt;"} {
			if name != "a.png" && !strings.Contains(string(data), want) {
				t.Errorf("%s: %q is not in it", name, want)
			}
		}
	}
	if err := DrawSweep(filepath.Join(dir, "none", "a.svg"), sweep()); err == nil {
		t.Error("a folder that is missing: got no error")
	}
	empty := Sweep{Values: []string{"1"}, Lines: []Line{{"a", [][]sim.PolicyResult{{{}}}}}}
	if err := DrawSweep(filepath.Join(dir, "b.svg"), empty); err != nil {
		t.Errorf("a sweep of nothing: %v", err)
	}
}
