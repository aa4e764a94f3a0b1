package reboundredis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// share is a local share of n attempts at once, and one more each hour.
func share(n int) *limit.Rate {
	return &limit.Rate{Name: "local", N: 1, Per: time.Hour, Burst: n}
}

// outages are the ways in which Redis can fail and recover.
var outages = []struct {
	name       string
	args       []string
	begin, end func(*server)
}{
	{"killed", nil, (*server).kill, (*server).run},
	{"paused", nil, (*server).pause, (*server).goOn},
	{"refuses to write", nil,
		func(s *server) { s.do("CLIENT", "PAUSE", "600000", "WRITE") },
		func(s *server) { s.do("CLIENT", "UNPAUSE") }},
	{"out of memory", []string{"--maxmemory-policy", "noeviction"},
		func(s *server) { s.do("CONFIG", "SET", "maxmemory", "1") },
		func(s *server) { s.do("CONFIG", "SET", "maxmemory", "0") }},
	{"read-only replica", nil,
		func(s *server) { s.do("REPLICAOF", "127.0.0.1", "1") },
		func(s *server) { s.do("REPLICAOF", "NO", "ONE") }},
	{"replica without its master", nil,
		func(s *server) {
			s.do("CONFIG", "SET", "replica-serve-stale-data", "no")
			s.do("REPLICAOF", "127.0.0.1", "1")
		},
		func(s *server) { s.do("REPLICAOF", "NO", "ONE") }},
	{"too few replicas", nil,
		func(s *server) { s.do("CONFIG", "SET", "min-replicas-to-write", "1") },
		func(s *server) { s.do("CONFIG", "SET", "min-replicas-to-write", "0") }},
	{"loading", []string{"--key-load-delay", "50000", "--rdbcompression", "no",
		"--loading-process-events-interval-bytes", "1024"},
		func(s *server) {
			s.do("EVAL", "for i = 1, 400 do redis.call('SET', i, string.rep('v', 1000)) end return 1", "0")
			s.do("SAVE")
			s.kill()
			s.run()
		},
		func(s *server) { s.do("CONFIG", "SET", "key-load-delay", "0") }},
	{"busy with a script", []string{"--busy-reply-threshold", "1"},
		func(s *server) {
			c := s.client(func(o *redis.Options) { o.ContextTimeoutEnabled = false })
			go c.Eval(context.Background(), "while true do end", nil)
			await(s.tb, "a busy server", func() bool {
				err := s.client().Ping(context.Background()).Err()
				return err != nil && strings.HasPrefix(err.Error(), "BUSY")
			})
		},
		func(s *server) { s.do("SCRIPT", "KILL") }},
}

// While Redis is down, the share of the process decides, for all but one attempt at once. When
// Redis is back, the shared limit decides.
func TestLocalShare(t *testing.T) {
	for _, row := range outages {
		t.Run(row.name, func(t *testing.T) {
			s := start(t, row.args...)
			opened := make(chan string, 100)
			around := &breaker.Breaker{
				Failures: 1, Cooldown: 300 * time.Millisecond,
				OnChange: func(c breaker.Change) { opened <- fmt.Sprint(c.From, " ", c.To) },
			}
			r := &reboundredis.Rate{
				Client: s.client(), Key: "k", N: 1e6, Per: time.Hour, Burst: 1e6,
				Local: share(30), Breaker: around, Timeout: 200 * time.Millisecond,
			}
			await(t, "a first answer", func() bool { return take(r) == nil && r.Snapshot().Level > 0 })
			row.begin(s)
			before := around.Snapshot().Rejected
			passed := 0
			var err error
			for err == nil && passed < 1000 {
				if err = take(r); err == nil {
					passed++
				}
			}
			if !errors.Is(err, limit.ErrRate) || passed == 0 || passed > 30 {
				t.Errorf("%d passed, then %v; want at most the 30 of the share", passed, err)
			}
			if n := around.Snapshot().Rejected - before; n == 0 {
				t.Errorf("every attempt asked Redis, want one")
			}
			if change := <-opened; change != "closed open" {
				t.Errorf("the breaker around Redis changed as %s", change)
			}
			row.end(s)
			await(t, "Redis to decide again", func() bool {
				return take(r) == nil && around.State() == breaker.Closed
			})
		})
	}
}

func TestFailClosed(t *testing.T) {
	s := start(t)
	r := &reboundredis.Rate{
		Client: s.client(), Name: "logins", Key: "k", N: 1e6, Per: time.Hour, Burst: 1e6,
		FailClosed: true, Timeout: 200 * time.Millisecond,
	}
	await(t, "a first answer", func() bool { return take(r) == nil })
	s.kill()
	refused := r.Snapshot().Rejected
	for range 10 {
		err := take(r)
		f := fault.Of(err)
		if !errors.Is(err, reboundredis.ErrUnavailable) || f.Kind != fault.Transient ||
			f.Sent != fault.NotSent || f.After <= 0 || f.After > 2*time.Second {
			t.Errorf("got %v, classified as %+v", err, f)
		}
		if want := "rate logins: redis: redis is unavailable"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if got := r.Snapshot().Rejected - refused; got != 10 {
		t.Errorf("%d rejections are counted, want 10", got)
	}
	if err := r.Refusal(0); !errors.Is(err, reboundredis.ErrUnavailable) {
		t.Errorf("Refusal: %v", err)
	}
	if err := r.Refusal(time.Hour); err != nil {
		t.Errorf("Refusal after an hour, when Redis may be back: %v", err)
	}
	s.run()
	await(t, "Redis to be back", func() bool { return take(r) == nil })
}

// Redis is used if it answers in time, even if its handshake takes longer than Timeout.
func TestSlowHandshake(t *testing.T) {
	s := start(t)
	around := &breaker.Breaker{Failures: 1, Cooldown: 50 * time.Millisecond}
	r := &reboundredis.Rate{
		Client: s.client(func(o *redis.Options) { o.Addr = s.slowly(t, 60*time.Millisecond) }),
		Key:    "k", N: 1, Per: time.Hour, Burst: 1e4,
		Local: share(1e6), Breaker: around, Timeout: 200 * time.Millisecond,
	}
	await(t, "Redis to decide", func() bool {
		return take(r) == nil && around.State() == breaker.Closed && r.Snapshot().Level < 1e4
	})
	if around.Snapshot().Opened == 0 {
		t.Error("the handshake was in time: the test shows nothing")
	}
}

// A deadline that is too short for Redis proves nothing about Redis.
func TestShortDeadlines(t *testing.T) {
	s := start(t)
	around := &breaker.Breaker{Failures: 1, Cooldown: time.Hour}
	r := &reboundredis.Rate{
		Client: s.client(func(o *redis.Options) { o.Addr = s.slowly(t, 30*time.Millisecond) }),
		Key:    "k", N: 1, Per: time.Hour, Burst: 1000, Local: share(1000), Breaker: around,
		Timeout: patient,
	}
	for i := range 5 {
		if err := take(r); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := r.Take(ctx, 1); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		cancel()
		if level := r.Snapshot().Level; level > 999.5-float64(i) || around.State() != breaker.Closed {
			t.Fatalf("Redis has not decided: level %v, breaker %v", level, around.State())
		}
	}
}

// slowly returns the address of a proxy that delays every packet.
func (s *server) slowly(t *testing.T, by time.Duration) string {
	p := daemon.NewProxy(t, s.Addr())
	p.Delay(by)
	return p.Addr
}

// What Redis admits counts for the local share, too.
func TestLocalShareIsWarm(t *testing.T) {
	s := start(t)
	r := &reboundredis.Rate{
		Client: s.client(), Key: "k", N: 1e6, Per: time.Hour, Burst: 1e6, Local: share(5),
		Timeout: patient,
	}
	for range 3 {
		if err := take(r); err != nil {
			t.Fatal(err)
		}
	}
	if level := r.Local.Snapshot().Level; level < 2 || level > 2.1 {
		t.Errorf("the local share has %v left, want 2", level)
	}
	for range 20 {
		if err := take(r); err != nil {
			t.Fatal(err)
		}
	}
	if level := r.Local.Snapshot().Level; level < 0 || level > 0.1 {
		t.Errorf("the local share has %v left, want 0: no debt", level)
	}
}

// mistakes are errors that no fallback may hide.
var mistakes = []struct {
	name  string
	setup func(*server)
	redis func(*redis.Options)
	want  string
}{
	{name: "no password", setup: func(s *server) { s.do("CONFIG", "SET", "requirepass", "x") },
		want: "NOAUTH Authentication required."},
	{name: "wrong password", redis: func(o *redis.Options) { o.Username, o.Password = "u", "x" },
		want: "WRONGPASS invalid username-password pair or user is disabled."},
	{name: "no permission", setup: func(s *server) {
		s.do("ACL", "SETUSER", "default", "-set")
	}, want: "ERR The user executing the script can't run this command or subcommand"},
	{name: "no permission for scripts", setup: func(s *server) {
		s.do("ACL", "SETUSER", "default", "-@scripting")
	}, want: "NOPERM this user has no permissions to run the 'evalsha' command"},
	{name: "no permission for the key", setup: func(s *server) {
		s.do("ACL", "SETUSER", "default", "resetkeys", "~other")
	}, want: "NOPERM this user has no permissions to access one of the keys used as arguments"},
	{name: "no such database", redis: func(o *redis.Options) { o.DB = 999 },
		want: "ERR DB index is out of range"},
	{name: "a list", setup: func(s *server) { s.do("LPUSH", "k", "v") },
		want: "WRONGTYPE Operation against a key holding the wrong kind of value"},
	{name: "another's string", setup: func(s *server) { s.do("SET", "k", "v") },
		want: "WRONGTYPE the key holds no rate limit"},
	{name: "another's number", setup: func(s *server) { s.do("INCR", "k") },
		want: "WRONGTYPE the key holds no rate limit"},
	{name: "another's numbers", setup: func(s *server) { s.do("SET", "k", "1 2 3 4") },
		want: "WRONGTYPE the key holds no rate limit"},
	{name: "another's text", setup: func(s *server) { s.do("SET", "k", "at 1 2 3") },
		want: "WRONGTYPE the key holds no rate limit"},
	{name: "a port that is none", redis: func(o *redis.Options) { o.Addr = "127.0.0.1:99999" },
		want: "dial tcp: address 99999: invalid port"},
}

func TestMistakes(t *testing.T) {
	for _, row := range mistakes {
		t.Run(row.name, func(t *testing.T) {
			s := start(t)
			if row.setup != nil {
				row.setup(s)
			}
			c := s.client()
			if row.redis != nil {
				c = s.client(row.redis)
			}
			r := &reboundredis.Rate{
				Client: c, Name: "ocr", Key: "k", N: 10, Local: share(10), Timeout: patient,
			}
			for range 3 {
				err := take(r)
				var own *reboundredis.Error
				if !errors.As(err, &own) || own.Name != "rate ocr" ||
					err.Error() != "rate ocr: redis: "+row.want {
					t.Fatalf("got %v, want %s", err, row.want)
				}
				if f := fault.Of(err); f.Kind != fault.Permanent || f.Sent != fault.NotSent {
					t.Errorf("classified as %v, sent %v", f.Kind, f.Sent)
				}
			}
			if level := r.Local.Snapshot().Level; level != 10 {
				t.Errorf("the local share has %v left, want 10", level)
			}
		})
	}
}
