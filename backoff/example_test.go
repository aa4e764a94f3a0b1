package backoff_test

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/backoff"
)

// delays returns the delays after the first attempts, each with the random number u.
func delays(b backoff.Backoff, attempts int, u float64) []time.Duration {
	var waits []time.Duration
	var prev time.Duration
	for n := 1; n <= attempts; n++ {
		prev = b.Delay(n, prev, u)
		waits = append(waits, prev)
	}
	return waits
}

const withoutJitter = -1

func ExampleConstant() {
	b := backoff.Constant(2 * time.Second)
	fmt.Println(delays(b, 3, withoutJitter))
	// Output: [2s 2s 2s]
}

func ExampleLinear() {
	b := backoff.Linear{Base: time.Second, Step: 500 * time.Millisecond, Max: 3 * time.Second}
	fmt.Println(delays(b, 6, withoutJitter))
	// Output: [1s 1.5s 2s 2.5s 3s 3s]
}

func ExampleExponential() {
	var zero backoff.Exponential
	tripled := backoff.Exponential{Base: 2 * time.Second, Max: 2 * time.Minute, Factor: 3}
	fmt.Println(delays(zero, 5, withoutJitter))
	fmt.Println(delays(tripled, 5, withoutJitter))
	// Output:
	// [100ms 200ms 400ms 800ms 1.6s]
	// [2s 6s 18s 54s 2m0s]
}

func ExampleFibonacci() {
	b := backoff.Fibonacci{Base: time.Second}
	fmt.Println(delays(b, 8, withoutJitter))
	// Output: [1s 1s 2s 3s 5s 8s 13s 21s]
}

// In AWS's strategy the range grows from the delay before. Low and High change the growth.
func ExampleDecorrelated() {
	aws := backoff.Decorrelated{Base: time.Second}
	own := backoff.Decorrelated{Base: time.Second, Low: 1.5, High: 2}
	fmt.Println(delays(aws, 4, 0.5))
	fmt.Println(delays(own, 4, 0.5))
	// Output:
	// [2s 3.5s 5.75s 9.125s]
	// [1.75s 3.0625s 5.359375s 9.37890625s]
}

// The shortest, middle and longest delay that each jitter makes from one second.
func ExampleJitter() {
	for _, row := range []struct {
		name   string
		jitter backoff.Jitter
	}{
		{"none", backoff.None()},
		{"full", backoff.Full()},
		{"equal", backoff.Equal()},
		{"additive", backoff.Additive(0.5)},
		{"proportional", backoff.Proportional(0.5)},
		{"own", backoff.Jitter{Low: 2, High: 3}},
	} {
		b := backoff.Exponential{Base: time.Second, Jitter: row.jitter}
		fmt.Printf("%-12s", row.name)
		for _, u := range []float64{0, 0.5, 0.999} {
			fmt.Printf(" %6v", b.Delay(1, 0, u).Round(10*time.Millisecond))
		}
		fmt.Println()
	}
	// Output:
	// none             1s     1s     1s
	// full             0s  500ms     1s
	// equal         500ms  750ms     1s
	// additive         1s  1.25s   1.5s
	// proportional  500ms     1s   1.5s
	// own              2s   2.5s     3s
}

// At the cap a jitter that lengthens the delay spreads downwards instead.
func ExampleAdditive() {
	b := backoff.Exponential{Base: 40 * time.Second, Max: time.Minute, Jitter: backoff.Additive(0.5)}
	fmt.Println(b.Delay(1, 0, 0), "to", b.Delay(1, 0, 0.999).Round(time.Second))
	fmt.Println(b.Delay(9, 0, 0), "to", b.Delay(9, 0, 0.999).Round(time.Second))
	// Output:
	// 40s to 1m0s
	// 40s to 1m0s
}

func ExampleProportional() {
	b := backoff.Exponential{Base: time.Second, Jitter: backoff.Proportional(0.25)}
	fmt.Println(b.Delay(1, 0, 0), b.Delay(1, 0, 0.5), b.Delay(1, 0, 0.75))
	// Output: 750ms 1s 1.125s
}

func ExampleSteps() {
	b := backoff.Steps{
		Delays: []time.Duration{time.Second, 10 * time.Second, time.Minute},
		Jitter: backoff.None(),
	}
	fmt.Println(delays(b, 5, withoutJitter))
	// Output: [1s 10s 1m0s 1m0s 1m0s]
}

// Full jitter may draw a delay near zero. Min keeps every delay above a floor, and still spreads.
func ExampleExponential_min() {
	b := backoff.Exponential{Base: time.Second, Min: 500 * time.Millisecond}
	for n := 1; n <= 3; n++ {
		fmt.Println(b.Delay(n, 0, 0), "to", b.Delay(n, 0, 0.999999999))
	}
	// Output:
	// 500ms to 999.999999ms
	// 500ms to 1.999999998s
	// 500ms to 3.999999996s
}

// weekly is a custom strategy: the delay depends on the number of the attempt alone.
type weekly struct{}

func (weekly) Delay(n int, _ time.Duration, _ float64) time.Duration {
	return time.Duration(min(n, 7)) * 24 * time.Hour
}

func ExampleBackoff() {
	fmt.Println(delays(weekly{}, 3, withoutJitter))
	// Output: [24h0m0s 48h0m0s 72h0m0s]
}
