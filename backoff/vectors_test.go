package backoff

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"
)

type vectorCase struct {
	ID     string
	Name   string
	Source string
	Delays []struct {
		N      int
		Random float64
		MS     *float64
		Low    float64 `json:"low_ms"`
		High   float64 `json:"high_ms"`
	}
}

const forever = time.Duration(math.MaxInt64)

// vectorBackoffs says how each case of testdata/vectors.json is written here.
var vectorBackoffs = map[string]Backoff{
	"r4j-random":          Exponential{Base: ms(100), Factor: 1, Jitter: Proportional(0.5)},
	"r4j-exp":             Exponential{Base: ms(100), Factor: 1.5, Max: forever, Jitter: None()},
	"r4j-exp-cap":         Exponential{Base: ms(100), Max: ms(100_000), Jitter: None()},
	"fin-const":           Constant(ms(7)),
	"fin-exp":             Exponential{Base: ms(2), Jitter: None()},
	"fin-exp-max":         Exponential{Base: ms(2), Max: ms(15), Jitter: None()},
	"fin-linear":          Linear{Base: ms(7), Step: ms(10), Jitter: None()},
	"fin-linear-max":      Linear{Base: ms(9), Step: ms(30), Max: ms(99), Jitter: None()},
	"envoy-default":       Exponential{Base: ms(25), Max: ms(250)},
	"envoy-custom":        Exponential{Base: ms(100), Max: ms(1200)},
	"envoy-custom-defmax": Exponential{Base: ms(100), Max: ms(1000)},
	"gapic":               Exponential{Base: ms(1000), Max: ms(60_000), Jitter: None()},
	"stripe-max":          Exponential{Base: ms(500), Max: ms(5000), Jitter: None()},
	"urllib3-factor":      Exponential{Base: ms(400), Max: ms(120_000), Jitter: None()},
	"urllib3-max1":        Exponential{Base: ms(400), Max: ms(1000), Jitter: None()},
	"axios-exp":           Exponential{Base: ms(200), Max: forever, Jitter: Additive(0.2)},
	"axios-linear":        Linear{Base: ms(100), Jitter: None()},
	"ky":                  Exponential{Base: ms(300), Jitter: None()},
	"temporal":            Exponential{Base: ms(1000), Max: ms(100_000), Jitter: None()},
	"openai":              Exponential{Base: ms(500), Max: ms(8000), Jitter: Jitter{0.75, 1}},
}

func ms(n float64) time.Duration { return time.Duration(math.Round(n * 1e6)) }

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vectorCase }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if got, want := len(file.Cases), len(vectorBackoffs); got != want {
		t.Errorf("%d cases in the file, want the %d of vectorBackoffs", got, want)
	}
	for _, c := range file.Cases {
		t.Run(c.ID, func(t *testing.T) { checkVector(t, vectorBackoffs[c.ID], c) })
	}
}

func checkVector(t *testing.T, b Backoff, c vectorCase) {
	for _, d := range c.Delays {
		low, high := ms(d.Low), ms(d.High)
		if d.MS != nil {
			low, high = ms(*d.MS), ms(*d.MS)
		}
		us := []float64{0, 0.001, 0.5, 0.999}
		if d.Random > 0 { // the library draws a number of ms modulo the delay
			whole := b.Delay(d.N, 0, -1)
			us = []float64{math.Mod(d.Random, whole.Seconds()*1000) / (whole.Seconds() * 1000)}
			low, high = low-1, high+1 // a nanosecond for the division
		}
		for _, u := range us {
			if got := b.Delay(d.N, 0, u); got < low || got > high {
				t.Errorf("%s: delay %d of %#v with u = %v: got %v, want %v to %v (%s)",
					c.Name, d.N, b, u, got, low, high, c.Source)
			}
		}
	}
}
