package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// api is an HTTP service that reads receipts, and is sometimes overloaded.
type api struct {
	url    string
	server http.Server

	mu    sync.Mutex
	calls int
	times map[string]int // how often each receipt was read
}

func serve(rows int) (*api, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &api{url: "http://" + l.Addr().String(), times: make(map[string]int, rows)}
	a.server.Handler = http.HandlerFunc(a.answer)
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

func (a *api) close() { _ = a.server.Close() }

// answer reads a receipt. Every twentieth request fails.
func (a *api) answer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.calls++
	overloaded := a.calls%20 == 0
	if !overloaded {
		a.times[body.Messages[0].Content]++
	}
	a.mu.Unlock()
	if overloaded {
		http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
		return
	}
	time.Sleep(20 * time.Millisecond)
	fmt.Fprint(w, `{"choices":[{"message":{"content":"12.50 EUR"}}]}`)
}

// done returns how many receipts were read.
func (a *api) done() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.times)
}

// repeated returns how many reads were repeats.
func (a *api) repeated() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, times := range a.times {
		n += times - 1
	}
	return n
}
