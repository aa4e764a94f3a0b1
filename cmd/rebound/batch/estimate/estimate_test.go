package estimate

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func samples(seconds, usd, tokens float64) (all []Sample) {
	for i := range 20 {
		f := 1 + float64(i%5-2)/10
		all = append(all, Sample{seconds * f, usd * f, tokens * f})
	}
	return all
}

// Each time is that of the limit that binds, give or take the samples' spread.
func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name     string
		rest     Rest
		seconds  float64
		binds    string
		usd, tol float64
	}{
		{"requests", Rest{Rows: 3000, InFlight: 64, Requests: 600, Samples: samples(1, 0.01, 100)},
			300, "600 requests per minute", 30, 0.1},
		{"tokens", Rest{Rows: 3000, InFlight: 64, Requests: 600, Tokens: 30_000,
			Samples: samples(1, 0.01, 100)}, 600, "tokens per minute", 30, 0.1},
		{"latency", Rest{Rows: 3000, InFlight: 10, Requests: 6000, Samples: samples(2, 0, 0)},
			600, "10 requests at a time", 0, 0.15},
		{"no limit", Rest{Rows: 1000, InFlight: 100, Samples: samples(1, 0, 0)},
			10, "100 requests at a time", 0, 0.4},
		{"many", Rest{Rows: 1_000_000, InFlight: 64, Requests: 6000, Samples: samples(0.1, 0, 0)},
			10_000, "requests per minute", 0, 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Of(tt.rest)
			if err != nil {
				t.Fatal(err)
			}
			if e.Seconds.Low > tt.seconds*(1+tt.tol) || e.Seconds.High < tt.seconds*(1-tt.tol) ||
				e.Seconds.Low < tt.seconds*(1-2*tt.tol) || e.Seconds.High > tt.seconds*(1+2*tt.tol) {
				t.Errorf("%v to %v s, want about %v", e.Seconds.Low, e.Seconds.High, tt.seconds)
			}
			if e.USD.Low > tt.usd || e.USD.High < tt.usd || tt.usd > 0 && e.USD.Low == e.USD.High {
				t.Errorf("$%v to $%v, want a range around %v", e.USD.Low, e.USD.High, tt.usd)
			}
			if !strings.Contains(e.Binds, tt.binds) {
				t.Errorf("bound by %q, want %q", e.Binds, tt.binds)
			}
		})
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		rest Rest
		want string
	}{
		{Rest{}, "no rows are left"},
		{Rest{Rows: 5, Failed: 3}, "no row of the probe succeeded (3 failed)"},
		{Rest{Rows: 3000, InFlight: 64, Requests: 60, Priced: true, Samples: samples(1, 0.01, 0)},
			"bound by 60 requests per minute"},
	} {
		if got := Text(tt.rest); !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// The range begins with the shorter time, also if the slowest rows decide.
func TestRangeIsInOrder(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := Rest{Rows: 1000, InFlight: 256}
		for range 20 {
			r.Samples = append(r.Samples, Sample{Seconds: math.Exp(random.NormFloat64())})
		}
		e, err := Of(r)
		if err != nil {
			t.Fatal(err)
		}
		if e.Seconds.Low > e.Seconds.High {
			t.Errorf("seed %d: %v to %v s", seed, e.Seconds.Low, e.Seconds.High)
		}
	}
}
