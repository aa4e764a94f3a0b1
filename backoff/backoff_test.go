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
		{Exponential{Base: second, Min: 3 * second}, "3s 3s 4s 8s 16s 30s"},
		{Exponential{Base: second, Min: time.Minute}, "30s 30s"}, // invalid: Max counts
		{Exponential{Base: second, Min: -second}, "1s 2s"},
		{Linear{Min: ms(250)}, "250ms 250ms 300ms 400ms"},
		{Linear{Min: 20 * second, Max: 20 * second}, "20s 20s"},
		{Fibonacci{Base: second, Min: 2 * second, Max: 4 * second}, "2s 2s 2s 3s 4s 4s"},
		{Steps{}, "100ms 100ms"},
		{Steps{Delays: []time.Duration{second, 10 * second, 60 * second}}, "1s 10s 1m0s 1m0s 1m0s"},
		{Steps{Delays: []time.Duration{0, second, ms(1), -1}}, "0s 1s 1ms 0s 0s"},
		{Decorrelated{Min: second, Max: 7 * second}, "3s 7s 7s"},
		{Decorrelated{Min: second, Low: 0.5, High: 1}, "1.25s 1.3125s 1.328125s"},
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

// TestMin: a delay is drawn inside [Min, Max], from at least half of its former range.
func TestMin(t *testing.T) {
	tests := []struct {
		j         Jitter
		d, floor  time.Duration // the cap is 8s
		low, high time.Duration // the range
	}{
		{Full(), 4 * second, second, second, 4 * second},
		{Full(), 4 * second, 2 * second, 2 * second, 4 * second},
		{Full(), 4 * second, 3 * second, 3 * second, 5 * second}, // half of 4s is 2s
		{Full(), 4 * second, 4 * second, 4 * second, 6 * second},
		{Full(), second, 4 * second, 4 * second, 6 * second}, // from the raised 4s
		{Full(), 8 * second, 7 * second, 7 * second, 8 * second},
		{Full(), second, 8 * second, 8 * second, 8 * second},
		{Full(), second, 0, 0, second},
		{Full(), second, -second, 0, second},
		{Full(), second, 9 * second, 8 * second, 8 * second}, // invalid: Max counts
		{Jitter{0.5, 0}, 4 * second, 3 * second, 3 * second, 5 * second},
		{Equal(), 4 * second, second, 2 * second, 4 * second},
		{Equal(), 4 * second, 3 * second, 3 * second, 4 * second},
		{Equal(), 4 * second, 4 * second, 4 * second, 5 * second},
		{Additive(0.5), 4 * second, 4 * second, 4 * second, 6 * second},
		{Additive(0.5), 8 * second, 6 * second, 6 * second, 8 * second}, // 5.3s to 8s at the cap
		{Proportional(0.5), 4 * second, 3 * second, 3 * second, 6 * second},
		{Proportional(0.5), 4 * second, 4 * second, 4 * second, 6 * second},
		{Jitter{0.1, 0.3}, 4 * second, 2 * second, 2 * second, ms(2400)},
		{Jitter{0.5, 0.5}, 4 * second, 3 * second, 3 * second, 3 * second},
		{None(), 4 * second, 3 * second, 4 * second, 4 * second},
		{None(), 2 * second, 3 * second, 3 * second, 3 * second},
	}
	for _, test := range tests {
		for _, b := range []Backoff{
			Exponential{Base: test.d, Min: test.floor, Max: 8 * second, Jitter: test.j},
			Linear{Base: test.d, Min: test.floor, Max: 8 * second, Jitter: test.j},
			Fibonacci{Base: test.d, Min: test.floor, Max: 8 * second, Jitter: test.j},
		} {
			for u, want := range map[float64]time.Duration{
				0: test.low, 0.5: (test.low + test.high) / 2, 1: test.high,
			} {
				if got := b.Delay(1, 0, u); (got - want).Abs() > 1 {
					t.Errorf("%+v with u = %v: got %v, want %v", b, u, got, want)
				}
			}
		}
	}
}

func TestSteps(t *testing.T) {
	list := []time.Duration{second, 10 * second, 0}
	tests := []struct {
		b    Steps
		n    int
		u    float64
		want time.Duration
	}{
		{Steps{Delays: list}, 1, 0.5, second / 2}, // as the others: full jitter
		{Steps{Delays: list, Jitter: None()}, 2, 0.5, 10 * second},
		{Steps{Delays: list, Jitter: Additive(0.5)}, 2, 0.5, ms(12_500)},
		{Steps{Delays: list, Jitter: Additive(0.5)}, 3, 0.5, 0},
		{Steps{Delays: list, Jitter: Jitter{2, 4}}, 1, 0.5, 3 * second},
		{Steps{Delays: list, Jitter: Jitter{-1, 1}}, 1, 0.5, second / 2}, // invalid: Full()
		{Steps{Delays: list, Jitter: None()}, 0, 0.5, second},
		{Steps{Delays: list, Jitter: None()}, math.MinInt, 0.5, second},
		{Steps{Delays: list, Jitter: None()}, math.MaxInt, 0.5, 0},
		{Steps{Delays: []time.Duration{forever}, Jitter: Additive(1)}, 1, 0, forever / 2},
		{Steps{Jitter: None()}, 7, 0.5, ms(100)},
	}
	for _, test := range tests {
		if got := test.b.Delay(test.n, second, test.u); (got - test.want).Abs() > 1 {
			t.Errorf("%+v after attempt %d with u = %v: got %v, want %v",
				test.b, test.n, test.u, got, test.want)
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
		{Decorrelated{Base: second, Min: 2 * second, Max: 20 * second}, 0, 0, 2 * second},
		{Decorrelated{Base: second, Min: 2 * second, Max: 20 * second}, 0, 0.5, 4 * second},
		{Decorrelated{Base: second, Min: 9 * second, Max: 20 * second}, 0, 0.5, 18 * second},
		{Decorrelated{Base: second, Min: 9 * second, Max: 20 * second}, 12 * second, 0, 9 * second},
		{Decorrelated{Base: second, Min: 9 * second, Low: 1, High: 2}, 0, 0.5, ms(13_500)},
		{Decorrelated{Base: second, Min: 9 * second, Low: 0.5, High: 1}, 12 * second, 0, 9 * second},
		{Decorrelated{Base: second, Min: 9 * second, Low: 0.5, High: 1}, 9 * second, 1, ms(11_250)},
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

// TestSaturation computes delays that are too long for a duration.
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

// TestOutOfRange: even invalid arguments and fields give a delay in bounds.
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

// TestSpreadAtCap: the delays of a thousand clients that have reached the cap stay spread.
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
		{Exponential{Max: limit, Min: 5 * limit / 6, Jitter: Additive(0.5)}, 1},
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

// TestSpreadAtFloor: so do the delays of clients that are raised to Min.
func TestSpreadAtFloor(t *testing.T) {
	const clients, floor = 1000, 10 * time.Second
	for _, base := range []time.Duration{1, second, floor - 1, floor, floor + 1, floor * 101 / 100} {
		for _, b := range []Backoff{
			Exponential{Base: base, Min: floor, Max: time.Hour},
			Linear{Base: base, Min: floor, Max: time.Hour, Jitter: Equal()},
			Fibonacci{Base: base, Min: floor, Max: time.Hour, Jitter: Proportional(0.5)},
			Exponential{Base: base, Min: floor, Max: time.Hour, Jitter: Jitter{0.25, 0.75}},
			Decorrelated{Base: base, Min: floor, Max: time.Hour},
			Decorrelated{Base: base, Min: floor, Max: time.Hour, Low: 0.25, High: 0.75},
		} {
			seen := map[time.Duration]int{}
			for i := range clients {
				d := b.Delay(1, 0, float64(i)/clients)
				if d < floor || d > 4*floor {
					t.Fatalf("%#v: got %v, want %v to %v", b, d, floor, 4*floor)
				}
				seen[d.Truncate(time.Millisecond)]++
			}
			for d, n := range seen {
				if n > 1 {
					t.Errorf("%#v: %d of %d clients meet at %v", b, n, clients, d)
				}
			}
		}
	}
}

func TestDelayAllocatesNothing(t *testing.T) {
	strategies := []Backoff{
		Constant(1), Linear{}, Exponential{Factor: 3}, Fibonacci{}, Decorrelated{}, Steps{},
	}
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
