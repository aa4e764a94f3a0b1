package reboundredis_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/internal/daemon"
)

// server is a real Redis on a free port of this machine.
type server struct {
	*daemon.Daemon
	tb testing.TB
}

// start starts a Redis, and stops it when the test has ended.
func start(tb testing.TB, args ...string) *server {
	tb.Helper()
	return &server{daemon.Require(tb, func() (*daemon.Daemon, error) {
		return daemon.Redis(args...)
	}), tb}
}

// run starts the server again.
func (s *server) run() {
	s.tb.Helper()
	if err := s.Run(); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *server) kill() { s.Kill() }

// pause stops the process, whose connections stay.
func (s *server) pause() { _ = s.Signal(syscall.SIGSTOP) }
func (s *server) goOn()  { _ = s.Signal(syscall.SIGCONT) }

// client returns a client as a Rate needs it.
func (s *server) client(change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{
		Addr: s.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1,
	}
	for _, f := range change {
		f(o)
	}
	c := redis.NewClient(o)
	s.tb.Cleanup(func() { c.Close() })
	return c
}

// do runs a command, and returns its result.
func (s *server) do(args ...any) any {
	s.tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.tb.Fatalf("%v: %v", args, err)
	}
	return v
}

// await waits for what should happen soon.
func (s *server) await(what string, happened func() bool) {
	s.tb.Helper()
	await(s.tb, what, happened)
}

const soon = 20 * time.Second

func await(tb testing.TB, what string, happened func() bool) {
	tb.Helper()
	for end := time.Now().Add(soon); !happened(); {
		if time.Now().After(end) {
			tb.Fatalf("waited %v for %s", soon, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
