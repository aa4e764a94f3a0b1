package reboundredis_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/reboundredis"
)

var (
	_ rebounddebug.Limit    = (*reboundredis.Rate)(nil)
	_ redis.Scripter        = (*redis.ClusterClient)(nil)
	_ redis.UniversalClient = (*redis.Ring)(nil)
)

const no = "reboundredis.Rate k: "

var validations = []struct {
	change func(*reboundredis.Rate)
	want   string
}{
	{func(*reboundredis.Rate) {}, ""},
	{func(r *reboundredis.Rate) { r.Client = nil }, no + "Client is nil: want a client of go-redis"},
	{func(r *reboundredis.Rate) { r.Client = (*redis.Client)(nil) },
		no + "Client is nil: want a client of go-redis"},
	{func(r *reboundredis.Rate) { r.Client = redis.NewClient(&redis.Options{}) },
		no + "Client has MaxRetries 3: want -1, because a retry may book a second turn"},
	{func(r *reboundredis.Rate) { r.Client = redis.NewClient(&redis.Options{MaxRetries: -1}) },
		no + "Client has ContextTimeoutEnabled false: want true, because Timeout needs it"},
	{func(r *reboundredis.Rate) { r.Client = redis.NewRing(&redis.RingOptions{}) },
		no + "Client has MaxRetries 3: want -1, because a retry may book a second turn"},
	{func(r *reboundredis.Rate) {
		r.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:1"}})
	}, no + "Client has ContextTimeoutEnabled false: want true, because Timeout needs it"},
	{func(r *reboundredis.Rate) {
		r.Client = redis.NewFailoverClient(&redis.FailoverOptions{
			SentinelAddrs: []string{"localhost:1"}, MaxRetries: -1, ContextTimeoutEnabled: true,
		})
	}, ""},
	{func(r *reboundredis.Rate) { r.Name, r.Key = "ocr", "" },
		`reboundredis.Rate ocr: Key is "": want a name`},
	{func(r *reboundredis.Rate) { r.N = 0 }, no + "N is 0: want more than 0"},
	{func(r *reboundredis.Rate) { r.N = math.Inf(1) }, no + "N is +Inf: want more than 0"},
	{func(r *reboundredis.Rate) { r.N = math.NaN() }, no + "N is NaN: want more than 0"},
	{func(r *reboundredis.Rate) { r.N = 1e6 + 1 },
		no + "N is 1.000001e+06: want at most 1000000 per second"},
	{func(r *reboundredis.Rate) { r.N, r.Per = 1e6, time.Millisecond },
		no + "N is 1e+06: want at most 1000000 per second"},
	{func(r *reboundredis.Rate) { r.N = 1e-9 },
		no + "N is 1e-09: want at least one token in 10 years"},
	{func(r *reboundredis.Rate) { r.Per = -1 }, no + "Per is -1ns: want more than 0, or 0 for 1s"},
	{func(r *reboundredis.Rate) { r.Burst = -1 },
		no + "Burst is -1: want 1 or more that fill in 10 years, or 0 for 1"},
	{func(r *reboundredis.Rate) { r.Burst = math.MaxInt },
		no + "Burst is 9223372036854775807: want 1 or more that fill in 10 years, or 0 for 1"},
	{func(r *reboundredis.Rate) { r.Wait = -1 },
		no + "Wait is -1ns: want 0 (no wait) to 10 years"},
	{func(r *reboundredis.Rate) { r.Timeout = -1 },
		no + "Timeout is -1ns: want more than 0, or 0 for 50ms"},
	{func(r *reboundredis.Rate) { r.FailClosed = true },
		no + "FailClosed is true: want false, or a nil Local"},
	{func(r *reboundredis.Rate) { r.Local = nil },
		no + "Local is missing: want this process's share of the limit, or FailClosed"},
	{func(r *reboundredis.Rate) { r.Local, r.FailClosed = nil, true }, ""},
	{func(r *reboundredis.Rate) { r.Local = &limit.Rate{} },
		no + "Local.N is 0: want this process's share of N"},
	{func(r *reboundredis.Rate) { r.Local = &limit.Rate{N: 1, Burst: -1} },
		no + "Local: limit.Rate: Burst is -1: want 1 or more, or 0 for 1"},
	{func(r *reboundredis.Rate) { r.Breaker = &breaker.Breaker{Failures: -1} }, no + "Breaker: "},
}

func TestValidate(t *testing.T) {
	good := &redis.Options{Addr: "localhost:1", MaxRetries: -1, ContextTimeoutEnabled: true}
	fresh := func() *reboundredis.Rate {
		return &reboundredis.Rate{
			Client: redis.NewClient(good), Key: "k", N: 10, Local: &limit.Rate{N: 1},
		}
	}
	for _, row := range validations {
		r := fresh()
		row.change(r)
		err, text := r.Validate(), ""
		if err != nil {
			text = err.Error()
		}
		if row.want == "" && err != nil || !strings.HasPrefix(text, row.want) {
			t.Errorf("got %q, want %q", text, row.want)
		}
		if err == nil {
			continue
		}
		// An invalid limit admits nothing.
		if got := take(r); got == nil || got.Error() != text {
			t.Errorf("Take returns %v, want %s", got, text)
		}
		if got := r.Refusal(0); got == nil || got.Error() != text {
			t.Errorf("Refusal returns %v, want %s", got, text)
		}
		_ = r.Snapshot()
	}
}

func TestInvalidN(t *testing.T) {
	r := closing(&reboundredis.Rate{Client: start(t).client(), Key: "k", N: 10})
	for _, n := range []float64{-1, math.NaN(), math.Inf(1)} {
		if err := r.Take(t.Context(), n); err == nil || errors.Is(err, limit.ErrRate) {
			t.Errorf("Take of %v: %v", n, err)
		}
	}
	if err := take(r); err != nil {
		t.Errorf("they have taken something: %v", err)
	}
}

// Take counts as limit.Rate does: more tokens than the bucket holds are available when it is full.
func TestTake(t *testing.T) {
	s := start(t)
	fresh := func(key string) *reboundredis.Rate {
		return closing(&reboundredis.Rate{
			Client: s.client(), Key: key, N: 1, Per: time.Hour, Burst: 10,
		})
	}
	for _, row := range []struct {
		n      []float64
		passed int
		level  float64
	}{
		{[]float64{4, 6, 1}, 2, 0},
		{[]float64{4, 7}, 1, 6},
		{[]float64{0, 25, 0}, 2, -15},
		{[]float64{0.5, 25}, 1, 9.5},
		{[]float64{2.5, 2.5, 2.5, 2.5, 0.01}, 4, 0},
	} {
		s.do("FLUSHALL")
		r, passed := fresh("k"), 0
		for _, n := range row.n {
			switch err := r.Take(t.Context(), n); {
			case err == nil:
				passed++
			case !errors.Is(err, limit.ErrRate):
				t.Fatal(err)
			}
		}
		if level := r.Snapshot().Level; passed != row.passed || math.Abs(level-row.level) > .01 {
			t.Errorf("%v: %d passed, level %v; want %d, %v", row.n, passed, level, row.passed, row.level)
		}
	}
}

// A cluster of one node. Keys need no tag.
func TestCluster(t *testing.T) {
	s := start(t, "--cluster-enabled", "yes")
	s.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{s.Addr()}, ContextTimeoutEnabled: true,
	})
	defer c.Close()
	for _, key := range []string{"ocr", "{ocr}:rate", "a:{b}"} {
		r := closing(&reboundredis.Rate{Client: c, Key: key, N: 1, Per: time.Hour})
		await(t, "the cluster to be up", func() bool { return take(r) == nil })
		if err := take(r); !errors.Is(err, limit.ErrRate) {
			t.Error(err)
		}
	}
	members := []*member{}
	for range 2 {
		members = append(members, join(t, s, func(m *member) { m.verdicts.Client = c }))
	}
	members[0].fail(t)
	await(t, "the second breaker to open", isOpen(members[1]))
}
