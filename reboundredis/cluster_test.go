package reboundredis_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// cluster is one of three servers, each with a third of the slots.
type cluster [3]*server

func startCluster(t *testing.T) (c cluster) {
	t.Helper()
	for i := range c {
		port, err := daemon.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		bus := strconv.Itoa(port)
		c[i] = start(t, "--cluster-enabled", "yes", "--cluster-port", bus,
			"--cluster-node-timeout", "500")
		first, last := i*5461, i*5461+5460
		if i == 2 {
			last = 16383
		}
		c[i].do("CLUSTER", "ADDSLOTSRANGE", first, last)
		c[i].do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			c[0].do("CLUSTER", "MEET", "127.0.0.1", c[i].Port, bus)
		}
	}
	c.await()
	return c
}

// await waits until the cluster is complete for every server.
func (c cluster) await() {
	for _, s := range c {
		s.await("the cluster to be complete", func() bool {
			info := s.client().ClusterInfo(context.Background()).Val()
			serving := 0
			for _, shard := range s.client().ClusterShards(context.Background()).Val() {
				if len(shard.Slots) > 0 {
					serving++
				}
			}
			return serving == 3 && len(info) > 16 && info[:16] == "cluster_state:ok"
		})
	}
}

func (c cluster) client(t *testing.T) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                 []string{c[0].Addr(), c[1].Addr(), c[2].Addr()},
		ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// holder returns the server with the slot of a key, and another one.
func (c cluster) holder(key string) (holder, other *server, slot int64) {
	slot = c[0].do("CLUSTER", "KEYSLOT", key).(int64)
	i := min(int(slot/5461), 2)
	return c[i], c[(i+1)%3], slot
}

func (s *server) id() string { return s.do("CLUSTER", "MYID").(string) }

// A limit keeps its bucket while its slot moves to another server. No step of the move looks like
// an outage.
func TestClusterMovesTheKey(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	const key = "{ocr}:rate"
	from, to, slot := c.holder(key)
	around := &breaker.Breaker{Failures: 1, Cooldown: time.Second}
	r := &reboundredis.Rate{
		Client: c.client(t), Key: key, N: 1, Per: time.Hour, Burst: 100, Timeout: patient,
		Local: share(1), Breaker: around,
	}
	for i, step := range []func(){
		func() {},
		func() { to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id()) },
		func() { from.do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id()) },
		func() { // from here on ASK
			from.do("MIGRATE", "127.0.0.1", to.Port, "", 0, 5000, "KEYS", key)
		},
		func() { to.do("CLUSTER", "SETSLOT", slot, "NODE", to.id()) },
		func() { from.do("CLUSTER", "SETSLOT", slot, "NODE", to.id()) }, // from here on MOVED
		func() { to.do("SCRIPT", "FLUSH") },
	} {
		step()
		for range 2 {
			if err := take(r); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if level, want := r.Snapshot().Level, 98-2*i; int(level+.5) != want {
			t.Errorf("step %d: level %v, want %d", i, level, want)
		}
	}
	if n := around.Snapshot().Opened; n > 0 {
		t.Errorf("the move was an outage %d times", n)
	}
	// A canceled wait returns its turn there, too.
	waits := closing(&reboundredis.Rate{
		Client: c.client(t), Key: "{ocr}:wait", N: 1, Per: time.Hour, Wait: 2 * time.Hour,
	})
	if err := take(waits); err != nil {
		t.Fatal(err)
	}
	wait(t, waits).leave(t)
	await(t, "the turn to be back", func() bool {
		w := wait(t, waits)
		defer w.leave(t)
		return waits.Snapshot().Level > -1.1
	})
}

// While the server of a key is down, the local share decides for that key alone.
func TestClusterLosesAServer(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	keys := []string{"a", "b", "c", "d", "e", "f"}
	lost, _, _ := c.holder(keys[0])
	i := slices.IndexFunc(keys, func(key string) bool { s, _, _ := c.holder(key); return s != lost })
	for _, s := range c {
		s.do("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	rate := func(key string) *reboundredis.Rate {
		return &reboundredis.Rate{
			Client: c.client(t), Key: key, N: 1e6, Per: time.Hour, Burst: 1e6, Local: share(1000),
			Breaker: &breaker.Breaker{Failures: 1, Cooldown: 100 * time.Millisecond},
			Timeout: time.Second,
		}
	}
	gone, there := rate(keys[0]), rate(keys[i])
	for _, r := range []*reboundredis.Rate{gone, there} {
		await(t, "Redis to decide", func() bool { return take(r) == nil && r.Snapshot().Level > 1 })
	}
	lost.kill()
	await(t, "the local share to decide", func() bool {
		return take(gone) == nil && gone.Breaker.State() == breaker.Open
	})
	for range 20 {
		if err := take(there); err != nil {
			t.Error(err)
		}
	}
	lost.run()
	for _, r := range []*reboundredis.Rate{gone, there} {
		await(t, "Redis to decide again", func() bool {
			return take(r) == nil && r.Breaker.State() == breaker.Closed
		})
	}
}

// A client for one server of a cluster never gets the keys of the others. That is a mistake, not an
// outage.
func TestClientOfOneServer(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	_, other, _ := c.holder("k")
	r := &reboundredis.Rate{
		Client: other.client(), Key: "k", N: 10, Local: share(10), Timeout: patient,
	}
	var e *reboundredis.Error
	if err := take(r); !errors.As(err, &e) || r.Local.Snapshot().Level != 10 {
		t.Errorf("got %v, local level %v; want an error", err, r.Local.Snapshot().Level)
	}
	_, other, _ = c.holder("k:open")
	v := &reboundredis.Verdicts{Client: other.client(), Key: "k"}
	if err := v.Start(t.Context(), &breaker.Breaker{}); !errors.As(err, &e) {
		t.Errorf("Start: %v, want an error", err)
	}
	ring := redis.NewRing(&redis.RingOptions{
		Addrs: map[string]string{"a": other.Addr()}, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = ring.Close() })
	r = &reboundredis.Rate{Client: ring, Key: "k:open", N: 10, Local: share(10), Timeout: patient}
	if err := take(r); !errors.As(err, &e) {
		t.Errorf("a ring: %v, want an error", err)
	}
	if err := take(&reboundredis.Rate{Client: c.client(t), Key: "k", N: 10, Local: share(10),
		Timeout: patient}); err != nil || errors.Is(err, limit.ErrRate) {
		t.Errorf("a client of the cluster: %v", err)
	}
}
