package chart

import (
	"bytes"
	"flag"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/sim"
)

var update = flag.Bool("update", false, "rewrite the pictures in testdata")

// small is a result of a few bins, in which two policies differ.
func small() sim.Result {
	r := sim.Result{Scenario: sim.Scenario{
		Name: "small", About: "two <policies> & 12 s", Duration: 12 * time.Second, Bin: time.Second,
		Server: sim.Server{Windows: []sim.Window{{From: 3 * time.Second, To: 6 * time.Second}}},
	}}
	for i, name := range []string{"first", "second"} {
		p := sim.PolicyResult{Policy: name}
		for t := range int64(12) {
			b := sim.Bin{Counts: sim.Counts{Attempts: 100 + t, OK: 90 - 5*t}}
			if i == 1 && t >= 3 {
				b.Attempts, b.Retries, b.Queue, b.Open = 250, 150, int(10*t), 0.5
			}
			p.Bins = append(p.Bins, b)
		}
		r.Policies = append(r.Policies, p)
	}
	return r
}

func TestPictureIsAsItWas(t *testing.T) {
	const golden = "testdata/small.svg"
	path := filepath.Join(t.TempDir(), "small.svg")
	if err := Draw(path, small()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got a picture of %d bytes, want that of %d in %s (%v): see what is different, "+
			"then go test -update", len(got), len(want), golden, err)
	}
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.png", "a.html", "a.SVG"} {
		if err := Draw(filepath.Join(dir, name), small()); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if picture, err := png.Decode(f); err != nil || picture.Bounds().Dx() < 1000 {
		t.Errorf("got %v, %v, want a picture at least 1000 dots wide", picture, err)
	}
	html, err := os.ReadFile(filepath.Join(dir, "a.html"))
	for _, want := range []string{
		"<h1>small</h1>", "two &lt;policies&gt; &amp; 12 s", "<td>second<td>", "<svg",
	} {
		if err != nil || !strings.Contains(string(html), want) {
			t.Errorf("got %s, %v, want %q in it", html, err, want)
		}
	}
	if err := Draw(filepath.Join(dir, "a.pdf"), small()); err == nil {
		t.Error("a.pdf: got no error, want one that names the formats")
	}
}

// An empty panel is left out, unless it is one of the first two.
func TestPanels(t *testing.T) {
	labels := func(r sim.Result) (all []string) {
		panels, _ := panels(r)
		for _, p := range panels {
			all = append(all, p.title())
		}
		return all
	}
	r := small()
	want := []string{
		"attempts per s", "calls answered per s", "retries per s", "attempts in queue",
		"breakers open, %",
	}
	if got := labels(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Policies = r.Policies[:1]
	if got := labels(r); !reflect.DeepEqual(got, want[:2]) {
		t.Errorf("got %q, want %q", got, want[:2])
	}
	r.Policies[0].Bins[4].Attempts = 10_000
	if got := labels(r)[0]; got != "attempts per s (logarithmic)" {
		t.Errorf("got %q, want a logarithmic panel for a spike", got)
	}
}

// Bins too narrow to see are merged. Rates are those of the whole step.
func TestManyBinsAreMerged(t *testing.T) {
	r := sim.Result{Scenario: sim.Scenario{Duration: 20 * time.Second, Bin: 10 * time.Millisecond}}
	var p sim.PolicyResult
	for i := range 2000 {
		b := sim.Bin{Queue: i}
		if i%4 == 0 {
			b.Attempts = 8
		}
		p.Bins = append(p.Bins, b)
	}
	r.Policies = []sim.PolicyResult{p}
	all, step := panels(r)
	if n := len(all[0].lines[0]); n != 500 || step != 0.04 || all[0].lines[0][7] != 200 ||
		all[2].lines[0][1] != 7 {
		t.Errorf("got %d steps of %v s, %v attempts per s, a queue of %v; want 500 of 0.04, 200, 7",
			n, step, all[0].lines[0][7], all[2].lines[0][1])
	}
}

// In grey, no two of the first three lines look alike, and each has other dashes.
func TestStylesDifferInGrey(t *testing.T) {
	for i := range 3 {
		for j := range i {
			a := color.GrayModel.Convert(style(i).Color).(color.Gray).Y
			b := color.GrayModel.Convert(style(j).Color).(color.Gray).Y
			if d := int(a) - int(b); d > -50 && d < 50 {
				t.Errorf("lines %d and %d: got greys of %d and %d, want them 50 apart", j, i, b, a)
			}
		}
	}
	looks := map[string]bool{}
	for i := range 36 {
		looks[fmt.Sprint(style(i).Color, style(i).Dashes)] = true
	}
	if len(looks) != 36 {
		t.Errorf("got %d looks of 36 lines, want as many", len(looks))
	}
}

func TestTicks(t *testing.T) {
	for _, row := range []struct {
		ticks     ticks
		low, high float64
		want      string
	}{
		{ticks{steps: seconds, most: 12}, 0, 60, "0 5 10 15 20 25 30 35 40 45 50 55 60"},
		{ticks{steps: seconds, most: 12}, 0, 180, "0 15 30 45 60 75 90 105 120 135 150 165 180"},
		{ticks{steps: seconds, most: 12}, 0, 3e6, "0 432k 864k 1.296M 1.728M 2.16M 2.592M"},
		{ticks{steps: numbers, most: 5}, 0, 2300, "0 500 1000 1500 2000"},
		{ticks{steps: numbers, most: 5}, 0, 170e3, "0 50k 100k 150k"},
		{ticks{steps: numbers, most: 5}, 0, 1, "0 0.2 0.4 0.6 0.8 1"},
	} {
		var got []string
		for _, tick := range row.ticks.Ticks(row.low, row.high) {
			got = append(got, tick.Label)
		}
		if got := strings.Join(got, " "); got != row.want {
			t.Errorf("%v to %v: got %s, want %s", row.low, row.high, got, row.want)
		}
	}
	var got []string
	for _, tick := range (powers{}).Ticks(1, 150e3) {
		got = append(got, tick.Label)
	}
	if got := strings.Join(got, " "); got != "≤ 1 10 100 1000 10k 100k" {
		t.Errorf("powers: got %s", got)
	}
}
