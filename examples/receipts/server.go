package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// start serves on a free port of the loopback interface.
func (s *service) start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("%s service: %w", s.name, err)
	}
	s.arrivals, s.count = make(map[string]int), make(map[string]int)
	s.url = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: s}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener)
	}()
	return nil
}

// stop ends the server. Requests in flight have a second to end.
func (s *service) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
	<-s.served
}

// ServeHTTP answers a request, or makes it fail.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	image, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	id := strings.TrimPrefix(r.URL.Path, "/")
	dice, fate := s.next(id)
	switch fate {
	case down:
		if dice.IntN(2) == 0 {
			breakOff(w)
		} else {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		}
		return
	case throttled:
		wait := s.speed.of(time.Duration(5+dice.IntN(10)) * time.Second)
		w.Header().Set("Retry-After", fmt.Sprint(wait.Seconds()))
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	case hang:
		s.work(r, time.Minute)
	}
	s.work(r, s.took[0]+time.Duration(dice.Int64N(int64(s.took[1]-s.took[0]))))
	switch fate {
	case unavailable:
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
	case reset:
		breakOff(w)
	default:
		s.reply(w, image, fate)
	}
}

// next counts a request and returns its mishap.
func (s *service) next(id string) (*rand.Rand, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals[id]++
	dice, fate := s.fate(id, s.arrivals[id])
	s.count[fate]++
	return dice, fate
}

// work waits for d, or until the client disconnects.
func (s *service) work(r *http.Request, d time.Duration) {
	timer := time.NewTimer(s.speed.of(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

func (s *service) reply(w http.ResponseWriter, image []byte, fate string) {
	if last := len(image) - 1; fate == misread && last >= 0 {
		image[last] ^= 1 // changes a digit of the total
	}
	answer, err := s.answer(image)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if fate == truncated {
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body)
}

// breakOff resets the connection: with SO_LINGER at zero, closing sends RST instead of FIN.
func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// deeds returns the number of requests for each mishap.
func (s *service) deeds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	var list []string
	for _, fate := range slices.Sorted(maps.Keys(s.count)) {
		n += s.count[fate]
		if fate != "" {
			list = append(list, fmt.Sprintf("%s %d", fate, s.count[fate]))
		}
	}
	return fmt.Sprintf("%d requests: %s", n, strings.Join(list, ", "))
}
