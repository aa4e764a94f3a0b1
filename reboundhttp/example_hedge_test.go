package reboundhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/reboundhttp"
)

// stuck is a server that never answers the first request.
func stuck() *httptest.Server {
	var n atomic.Int32
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "hello")
	}))
}

// The server does not answer the first request. A second one is sent after 50 ms, its response is
// returned, and the first one is canceled.
func ExampleTransport_hedge() {
	srv := stuck()
	defer srv.Close()

	h := &hedge.Hedge{After: 50 * time.Millisecond}
	client := &http.Client{Transport: &reboundhttp.Transport{Hedge: h}}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()

	call := reboundhttp.CallOf(resp)
	fmt.Println(resp.StatusCode, "of", call.Attempts, "requests, the hedge won:", call.HedgeWon)
	// Output:
	// 200 of 2 requests, the hedge won: true
}

// Retries and hedges carry their number, so that the server can count them.
func ExampleTransport_attemptHeader() {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("attempt %q\n", r.Header.Get("X-Retry-Attempt"))
		if n++; n < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()

	client := &http.Client{Transport: &reboundhttp.Transport{
		Policy:        hasty,
		AttemptHeader: "X-Retry-Attempt",
	}}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// attempt ""
	// attempt "2"
	// attempt "3"
}
