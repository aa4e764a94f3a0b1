package reboundredis_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a real Redis on a free port of this machine.
type server struct {
	tb   testing.TB
	args []string
	addr string
	cmd  *exec.Cmd
}

// start starts a Redis, and stops it when the test has ended.
func start(tb testing.TB, args ...string) *server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(err)
		}
		tb.Skip("no redis-server here: apt-get install redis-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	s := &server{tb: tb, addr: addr.String()}
	s.args = append([]string{"--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--daemonize", "no", "--dir", tb.TempDir()}, args...)
	tb.Cleanup(s.kill)
	s.run()
	return s
}

// run starts the server, and returns when it listens.
func (s *server) run() {
	s.tb.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.await("the server to listen", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// pause stops the process, whose connections stay.
func (s *server) pause() { s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *server) goOn()  { s.cmd.Process.Signal(syscall.SIGCONT) }

// client returns a client as a Rate needs it.
func (s *server) client(change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{
		Addr: s.addr, MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1,
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
	c := redis.NewClient(&redis.Options{Addr: s.addr})
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
