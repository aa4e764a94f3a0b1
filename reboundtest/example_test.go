package reboundtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundtest"
)

// A function that fails twice is called three times, with the delays base·2ⁿ in between.
func ExampleDo() {
	policy := &rebound.Policy{
		Attempts: 4,
		Backoff:  backoff.Exponential{Base: time.Second, Max: time.Minute},
	}
	calls := 0
	trace, err := reboundtest.Do(policy, func(context.Context) (string, error) {
		if calls++; calls <= 2 {
			return "", errors.New("connection reset")
		}
		return "ok", nil
	})
	fmt.Println(trace.Value, trace.Attempts, trace.Delays, err)
	// Output: ok 3 [1s 2s] <nil>
}

// After the last attempt its error is returned, with the reason for stopping.
func ExampleDo_exhausted() {
	policy := &rebound.Policy{
		Name: "ocr", Attempts: 4, Backoff: backoff.Exponential{Base: time.Second},
	}
	errDown := errors.New("service is down")

	trace, err := reboundtest.Do(policy, func(context.Context) (int, error) { return 0, errDown })
	fmt.Println(trace.Attempts, trace.Delays)
	fmt.Println(err)
	fmt.Println(errors.Is(err, errDown), errors.Is(err, rebound.Exhausted))
	// Output:
	// 4 [1s 2s 4s]
	// rebound: ocr: attempt 4 of 4: service is down (exhausted after 7s)
	// true true
}

func ExampleScript() {
	script := reboundtest.Script(errors.New("reset"), errors.New("reset"), nil)
	policy := &rebound.Policy{Backoff: backoff.Constant(0)}

	err := rebound.Run(context.Background(), policy, script.Run)
	fmt.Println(err, script.Calls())
	// Output: <nil> 3
}

func ExampleThen() {
	busy := rebound.RetryAfter(errors.New("slow down"), 7*time.Second)
	script := reboundtest.Script(busy, nil)

	trace, err := reboundtest.Do(nil, reboundtest.Then(script, "hello"))
	fmt.Println(trace.Value, trace.Delays, err)
	// Output: hello [7s] <nil>
}

func ExampleNewServer() {
	var t testing.TB = new(exampleTB) // your test's own t
	server := reboundtest.NewServer(t,
		reboundtest.Reset(),
		reboundtest.Answer(429, "slow down", "Retry-After", "1"),
		reboundtest.CutBody("he"),
		reboundtest.Answer(200, "hello"),
	)
	for range 4 {
		resp, err := http.Get(server.URL)
		if err != nil {
			fmt.Println("connection failed:", fault.IsConnection(err))
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%s %q %v\n", resp.Status, body, err)
	}
	fmt.Println(len(server.Requests()), "requests")
	// Output:
	// connection failed: true
	// 429 Too Many Requests "slow down" <nil>
	// 200 OK "he" unexpected EOF
	// 200 OK "hello" <nil>
	// 4 requests
}

// exampleTB is a test that never ends.
type exampleTB struct{ testing.TB }

func (*exampleTB) Helper()        {}
func (*exampleTB) Cleanup(func()) {}
