package backoff

import (
	"math"
	"strings"
	"testing"
	"time"
)

var (
	nan    = math.NaN()
	inf    = math.Inf(1)
	second = time.Second
)

// TestRows compares the delays without jitter after attempts 1, 2, 3, … with the documented rows.
func TestRows(t *testing.T) {
	tests := []struct {
		b    Backoff
		want string
	}{
		{Constant(second), "1s 1s 1s"},
		{Constant(0), "0s 0s 0s"},
		{Constant(-second), "0s 0s"},
		{Exponential{}, "100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 12.8s 25.6s 30s 30s"},
		{Exponential{Base: second}, "1s 2s 4s 8s 16s 30s"},
		{Exponential{Base: time.Minute}, "1m0s 1m0s 1m0s"},
		{Exponential{Max: ms(10)}, "10ms 10ms"},
		{Exponential{Base: second, Factor: 1}, "1s 1s 1s"},
		{Exponential{Base: 2 * second, Max: 2 * time.Minute, Factor: 3}, "2s 6s 18s 54s 2m0s 2m0s"},
		{Exponential{Base: second, Factor: 1.5}, "1s 1.5s 2.25s 3.375s"},
		{Exponential{Factor: 1.1}, "100ms 110ms 121ms 133.1ms 146.41ms 161.051ms"},
		{Linear{}, "100ms 200ms 300ms 400ms"},
		{Linear{Base: 7 * second}, "7s 14s 21s 28s 30s 30s"},
		{Linear{Base: second, Step: ms(250), Max: ms(1600)}, "1s 1.25s 1.5s 1.6s 1.6s"},
		{Linear{Base: time.Hour}, "1h0m0s 1h0m0s"},
		{Fibonacci{}, "100ms 100ms 200ms 300ms 500ms 800ms 1.3s 2.1s 3.4s 5.5s"},
		{Fibonacci{Base: 4 * second}, "4s 4s 8s 12s 20s 30s 30s"},
		{Fibonacci{Base: second, Max: 3 * second}, "1s 1s 2s 3s 3s"},
		{Decorrelated{}, "300ms 900ms 2.7s 8.1s 24.3s 30s 30s"},
		{Decorrelated{Base: second, Low: 1.3, High: 2}, "2s 4s 8s 16s 30s 30s"},
	}
	for _, test := range tests {
		var got []string
		var prev time.Duration
		for n := range strings.Fields(test.want) {
			prev = test.b.Delay(n+1, prev, -1)
			got = append(got, prev.String())
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%#v without jitter:\n got %s\nwant %s", test.b, got, test.want)
		}
	}
}

func TestJitter(t *testing.T) {
	tests := []struct {
		j    Jitter
		d    time.Duration // before jitter; the cap is 8s
		u    float64
		want time.Duration
	}{
		{Jitter{}, 4 * second, 0, 0},
		{Jitter{}, 4 * second, 0.25, second},
		{Full(), 4 * second, 0.25, second},
		{Full(), 8 * second, 0.75, 6 * second},
		{Equal(), 4 * second, 0, 2 * second},
		{Equal(), 4 * second, 0.5, 3 * second},
		{None(), 4 * second, 0.5, 4 * second},
		{None(), 8 * second, 0.5, 8 * second},
		{Additive(0.5), 4 * second, 0, 4 * second},
		{Additive(0.5), 4 * second, 0.5, 5 * second},
		{Additive(0.5), 7 * second, 0.5, ms(7500)},         // up to the cap, not to 10.5s
		{Additive(0.5), 8 * second, 0, 8 * second * 2 / 3}, // nothing left of the range: 8s/1.5
		{Additive(0.5), 8 * second, 0.5, 8 * second * 5 / 6},
		{Additive(0), 8 * second, 0.5, 8 * second},
		{Proportional(0.5), 4 * second, 0, 2 * second},
		{Proportional(0.5), 4 * second, 0.75, 5 * second},
		{Proportional(0.5), 8 * second, 0.5, 6 * second}, // 4s to the cap
		{Proportional(1), 4 * second, 0.25, 2 * second},
		{Jitter{2, 4}, 3 * second, 0.5, 7 * second},
		{Jitter{2, 4}, 6 * second, 0.5, 6 * second}, // 12s is past the cap: 4s to 8s
		{Jitter{2, 2}, 6 * second, 0.5, 8 * second},
		// Out of range.
		{Full(), 4 * second, nan, 4 * second},
		{Equal(), 4 * second, -inf, 4 * second},
		{Equal(), 4 * second, inf, 4 * second},
		{Equal(), 4 * second, 1, 4 * second},
		{Jitter{}, 4 * second, 1, 4 * second},
		{Jitter{0.5, 0}, 4 * second, 0.5, 2 * second}, // invalid: Full()
		{Jitter{-1, 1}, 4 * second, 0.5, 2 * second},
		{Jitter{nan, nan}, 4 * second, 0.5, 2 * second},
		{Jitter{0, inf}, 4 * second, 0.5, 2 * second},
	}
	for _, test := range tests {
		b := Exponential{Base: test.d, Max: 8 * second, Jitter: test.j}
		got := b.Delay(1, 0, test.u)
		if diff := (got - test.want).Abs(); diff > 1 {
			t.Errorf("%v of %v with u = %v: got %v, want %v", test.j, test.d, test.u, got, test.want)
		}
	}
}

func TestDecorrelated(t *testing.T) {
	aws := Decorrelated{Base: second, Max: 20 * second}
	drift := Decorrelated{Base: second, Max: 20 * second, Low: 1.3, High: 2}
	tests := []struct {
		b    Decorrelated
		prev time.Duration
		u    float64
		want time.Duration
	}{
		{aws, 0, 0, second},
		{aws, 0, 0.5, 2 * second},
		{aws, -second, 0.5, 2 * second},
		{aws, 5 * second, 0, second},
		{aws, 5 * second, 0.5, 8 * second},
		{aws, 5 * second, -1, 15 * second},
		{aws, 5 * second, nan, 15 * second},
		{aws, 5 * second, 2, 15 * second},
		{aws, 20 * second, 0.25, ms(15_750)},
		{aws, 20 * second, 0.5, 20 * second},
		{aws, ms(1), 0.5, second}, // never below Base
		{aws, forever, 0.5, 20 * second},
		{Decorrelated{Base: 40 * second, Max: 20 * second}, 0, 0.5, 20 * second},
		{drift, 0, 0, ms(1300)},
		{drift, 0, 0.5, ms(1650)},
		{drift, 10 * second, 0.5, ms(16_500)},
		{drift, 12 * second, 0.5, ms(17_800)}, // 15.6s to the cap
		{drift, 20 * second, 0, 13 * second},  // nothing left of the range: 20s·1.3/2
		{drift, forever, 0.5, ms(16_500)},
		{Decorrelated{Base: second, Low: 2, High: 1}, 0, 0.5, 2 * second}, // invalid: as AWS
		{Decorrelated{Base: second, Low: 1, High: 1}, 5 * second, 0.5, 5 * second},
	}
	for _, test := range tests {
		got := test.b.Delay(1, test.prev, test.u)
		if diff := (got - test.want).Abs(); diff > 1 {
			t.Errorf("%+v after %v with u = %v: got %v, want %v",
				test.b, test.prev, test.u, got, test.want)
		}
	}
}

// TestSaturation asks for attempts that no duration can hold.
func TestSaturation(t *testing.T) {
	for _, n := range []int{38, 62, 63, 64, 65, 1104, math.MaxInt32, math.MaxInt} {
		for _, base := range []time.Duration{1, 3, second, forever / 2, forever - 1, forever} {
			for _, b := range []Backoff{
				Exponential{Base: base, Max: forever},
				Exponential{Base: base, Max: forever, Factor: 10},
				Exponential{Base: base, Max: forever, Factor: math.MaxFloat64},
				Exponential{Base: base, Max: forever, Factor: inf},
				Fibonacci{Base: base, Max: forever},
				Linear{Base: base, Step: forever, Max: forever},
			} {
				got, jittered := b.Delay(n, 0, -1), b.Delay(n, 0, 0.999)
				if got < base || jittered < 0 || jittered > got {
					t.Errorf("%#v after attempt %d: got %v and with jitter %v, want %v or more",
						b, n, got, jittered, base)
				}
			}
		}
	}
	for n, want := range map[int]time.Duration{62: 1 << 61, 63: 1 << 62, 64: forever} {
		if got := (Exponential{Base: 1, Max: forever, Jitter: None()}).Delay(n, 0, 0.5); got != want {
			t.Errorf("1ns doubled %d times: got %d, want %d", n-1, got, want)
		}
	}
}

// TestOutOfRange: the arguments and fields that Validate refuses still give a delay in bounds.
func TestOutOfRange(t *testing.T) {
	tests := []struct {
		b    Backoff
		n    int
		want time.Duration
	}{
		{Exponential{}, 0, ms(100)},
		{Exponential{}, math.MinInt, ms(100)},
		{Linear{}, -5, ms(100)},
		{Fibonacci{}, -5, ms(100)},
		{Exponential{Base: -1, Max: -1}, 2, ms(200)},
		{Exponential{Factor: -3}, 2, ms(200)},
		{Exponential{Factor: nan}, 2, ms(200)},
		{Exponential{Factor: inf}, 1, ms(100)},
		{Exponential{Factor: inf}, 2, 30 * second},
		{Exponential{Factor: 0.5}, 2, ms(50)},
		{Exponential{Factor: 0.5}, math.MaxInt, 0},
		{Exponential{Base: time.Hour, Max: second}, 1, second},
		{Linear{Step: -second}, 2, ms(200)},
		{Linear{Base: time.Hour, Max: second}, 2, second},
		{Fibonacci{Base: time.Hour, Max: second}, 1, second},
	}
	for _, test := range tests {
		if got := test.b.Delay(test.n, -second, -1); got != test.want {
			t.Errorf("%#v after attempt %d: got %v, want %v", test.b, test.n, got, test.want)
		}
	}
}

// TestSpreadAtCap: a thousand clients that have all reached the cap do not meet again.
func TestSpreadAtCap(t *testing.T) {
	const clients, limit = 1000, 10 * time.Second
	tests := []struct {
		b       Backoff
		crowded int // the largest share, in 1000, that may wait the same millisecond
	}{
		{Exponential{Max: limit}, 1},
		{Exponential{Max: limit, Factor: 3, Jitter: Equal()}, 1},
		{Exponential{Max: limit, Jitter: Additive(0.5)}, 1},
		{Exponential{Max: limit, Jitter: Proportional(0.5)}, 1},
		{Exponential{Max: limit, Jitter: Jitter{3, 4}}, 1},
		{Linear{Max: limit, Jitter: Additive(0.2)}, 1},
		{Fibonacci{Max: limit, Jitter: Equal()}, 1},
		{Decorrelated{Max: limit, Low: 1.3, High: 2}, 1},
		{Decorrelated{Max: limit}, 670}, // two in three, as documented
		{Exponential{Max: limit, Jitter: None()}, clients},
	}
	for _, test := range tests {
		seen := map[time.Duration]int{}
		most := 0
		for i := range clients {
			d := test.b.Delay(200, limit, float64(i)/clients)
			if d < 0 || d > limit {
				t.Fatalf("%#v at the cap: got %v, want 0 to %v", test.b, d, limit)
			}
			d = d.Truncate(time.Millisecond)
			seen[d]++
			most = max(most, seen[d])
		}
		if most > test.crowded {
			t.Errorf("%#v at the cap: %d of %d clients meet, want at most %d",
				test.b, most, clients, test.crowded)
		}
	}
}

func TestDelayAllocatesNothing(t *testing.T) {
	strategies := []Backoff{Constant(1), Linear{}, Exponential{Factor: 3}, Fibonacci{}, Decorrelated{}}
	got := testing.AllocsPerRun(100, func() {
		for _, b := range strategies {
			sink = b.Delay(5, second, 0.5)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// A random number above 1, which no generator should return, counts as 1.
func TestRandomNumberAboveOne(t *testing.T) {
	for _, u := range []float64{1, 1.5, 2, math.Inf(1)} {
		for _, b := range []Backoff{
			Exponential{Base: time.Second, Jitter: Additive(0.5)},
			Linear{Base: time.Second, Jitter: Proportional(0.5)},
			Fibonacci{Base: time.Second, Jitter: Additive(0.5)},
		} {
			if got := b.Delay(1, 0, u); got != 1500*time.Millisecond {
				t.Errorf("%T at u = %v: got %v, want 1.5s", b, u, got)
			}
		}
	}
}
