package reboundhttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundhttp"
)

// busy is a server that answers 503 n times, and then 200.
func busy(times int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if times--; times >= 0 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "hello")
	}))
}

// hasty is a policy with short delays, so that examples take no time.
var hasty = &rebound.Policy{Backoff: backoff.Constant(time.Millisecond)}

func Example() {
	srv := busy(2)
	defer srv.Close()

	client := reboundhttp.NewClient(hasty)
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	fmt.Println("attempts:", reboundhttp.CallOf(resp).Attempts)
	// Output:
	// 200 hello <nil>
	// attempts: 3
}

// A response that stays bad is returned as it is, with a nil error, as from any http.Client. CallOf
// returns how it was obtained.
func ExampleCallOf() {
	srv := busy(9)
	defer srv.Close()

	resp, err := reboundhttp.NewClient(hasty).Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s: %q\n", resp.Status, body)

	call := reboundhttp.CallOf(resp)
	fmt.Println(call.Attempts, "attempts,", len(call.Waits), "waits")
	fmt.Println(errors.Is(call.Err, rebound.Exhausted))
	// Output:
	// 503 Service Unavailable: "busy\n"
	// 3 attempts, 2 waits
	// true
}

// A POST is repeated only if the server certainly did not act on it. If repeating does no harm, set
// Idempotent.
func ExampleTransport_idempotent() {
	srv := busy(1)
	defer srv.Close()

	post := func(t *reboundhttp.Transport) {
		client := &http.Client{Transport: t}
		resp, err := client.Post(srv.URL+"/search", "text/plain", strings.NewReader("query"))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		fmt.Println(resp.StatusCode, "after", reboundhttp.CallOf(resp).Attempts)
	}
	post(&reboundhttp.Transport{Policy: hasty})

	srv.Config.Handler = busy(1).Config.Handler
	post(&reboundhttp.Transport{
		Policy:     hasty,
		Idempotent: func(r *http.Request) bool { return r.URL.Path == "/search" },
	})
	// Output:
	// 503 after 1
	// 200 after 2
}

// For a classifier, the beginning of the body matters more than the status.
func ExampleStatusError() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"code":"insufficient_quota"}`)
	}))
	defer srv.Close()

	quota := func(err error) fault.Fault {
		var bad *reboundhttp.StatusError
		var body struct{ Code string }
		if errors.As(err, &bad) && json.Unmarshal(bad.Body, &body) == nil &&
			body.Code == "insufficient_quota" {
			return fault.Fault{Kind: fault.Permanent, Detail: "code " + body.Code}
		}
		return fault.Of(err)
	}
	resp, err := reboundhttp.NewClient(&rebound.Policy{Classify: quota}).Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), "after", reboundhttp.CallOf(resp).Attempts)
	// Output:
	// 429 {"code":"insufficient_quota"} after 1
}

// One request may have a policy of its own.
func ExampleWithPolicy() {
	srv := busy(4)
	defer srv.Close()

	longer := hasty.Clone()
	longer.Attempts = 5
	ctx := reboundhttp.WithPolicy(context.Background(), longer)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := reboundhttp.NewClient(hasty).Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, "after", reboundhttp.CallOf(resp).Attempts)
	// Output:
	// 200 after 5
}

// Each host has a breaker of its own.
func ExampleTransport_breakers() {
	srv := busy(1000)
	defer srv.Close()

	hosts := &breaker.Group[string]{Template: breaker.Breaker{Failures: 3}}
	client := &http.Client{Transport: &reboundhttp.Transport{Policy: hasty, Breakers: hosts}}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	_, err = client.Get(srv.URL)
	fmt.Println(errors.Is(err, breaker.ErrOpen))
	for _, b := range hosts.All() {
		fmt.Println(b.State)
	}
	// Output:
	// true
	// open
}

// The length of a stream is unknown, so a timeout for all of it does not fit. Limit the time until
// it begins, and the time between two pieces.
func ExampleTransport_stream() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := range 3 {
			fmt.Fprintf(w, "data: %d\n", n)
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done() // sends nothing more, and does not close
	}))
	defer srv.Close()

	client := &http.Client{Transport: &reboundhttp.Transport{
		FirstByteTimeout: 10 * time.Second,
		IdleTimeout:      50 * time.Millisecond,
	}}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	fmt.Println(lines.Err())
	// Output:
	// data: 0
	// data: 1
	// data: 2
	// reboundhttp: no data for 50ms
}

// A program with its own retry loop can classify outcomes with Classify.
func ExampleClassify() {
	srv := busy(9)
	defer srv.Close()

	resp, err := http.Get(srv.URL)
	f := reboundhttp.Classify(resp, err)
	fmt.Println(f.Kind, f.Sent, f.Detail)
	resp.Body.Close()
	// Output:
	// overloaded maybe_done status 503
}

// Check turns a bad status into an error, for a call that retries more than the request.
func ExampleCheck() {
	srv := busy(1)
	defer srv.Close()

	text, err := rebound.Do(context.Background(), hasty,
		func(ctx context.Context) (string, error) {
			req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			if err != nil {
				return "", err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			if err := reboundhttp.Check(resp); err != nil {
				fmt.Println(err)
				return "", err
			}
			text, err := io.ReadAll(resp.Body)
			return string(text), err
		})
	fmt.Println(text, err)
	// Output:
	// status 503: busy
	// hello <nil>
}

func ExampleRetryAfter() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, h := range []http.Header{
		{"Retry-After": {"1.5"}},
		{"Retry-After": {"Thu, 01 Jan 2026 12:05:07 GMT"},
			"Date": {"Thu, 01 Jan 2026 12:05:00 GMT"}},
		{"X-Ratelimit-Reset-Tokens": {"6m0s"}},
		{"Retry-After": {"-1"}},
	} {
		fmt.Println(reboundhttp.RetryAfter(h, now))
	}
	// Output:
	// 1.5s true
	// 7s true
	// 6m0s true
	// 0s false
}

// A server that accepts one request at a time, and 60 a minute, rejects the others at once.
func ExampleLimit() {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	})
	perMinute := &limit.Rate{Name: "pages", N: 60, Per: time.Minute}
	handler := reboundhttp.Limit(perMinute, reboundhttp.Limit(&limit.Concurrency{Max: 1}, pages))

	srv := httptest.NewServer(handler)
	defer srv.Close()
	for range 2 {
		resp, err := http.Get(srv.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	// Output:
	// 200 ""
	// 429 "1"
}

// Each tenant has a limit of its own.
func ExampleLimit_tenants() {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	})
	tenants := &limit.Group[string, limit.Concurrency]{Template: limit.Concurrency{Max: 10}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant := tenants.For(r.Header.Get("X-Tenant"))
		reboundhttp.Limit(tenant, pages).ServeHTTP(w, r)
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello
}
