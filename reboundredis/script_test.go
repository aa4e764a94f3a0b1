package reboundredis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// held returns the value of the key, and its time to live.
func (s *server) held() (tat, last time.Time, token, ttl time.Duration) {
	s.tb.Helper()
	var at, since int64
	v := s.do("GET", "k").(string)
	if _, err := fmt.Sscanf(v, "%d %d %d", &at, &since, &token); err != nil {
		s.tb.Fatalf("%q: %v", v, err)
	}
	ttl = time.Duration(s.do("PTTL", "k").(int64)) * time.Millisecond
	return time.UnixMicro(at), time.UnixMicro(since), token, ttl
}

// The key holds the time of the last booking, and expires when the bucket is full.
func TestKeyInRedis(t *testing.T) {
	s := start(t)
	r := slow(s, time.Hour)
	check := func(what string, debt time.Duration) {
		t.Helper()
		tat, last, token, ttl := s.held()
		now := time.Now()
		if d := now.Sub(last); d < 0 || d > soon {
			t.Errorf("%s: the last booking was %v ago", what, d)
		}
		if d := tat.Sub(now); d > debt || d < debt-soon || token != time.Minute {
			t.Errorf("%s: the debt is %v of %v, want %v of a minute", what, d, token, debt)
		}
		if ttl <= 0 || ttl > debt+2*time.Millisecond || ttl < debt-soon {
			t.Errorf("%s: the key lives for %v, want %v", what, ttl, debt)
		}
	}
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	check("a booking", time.Minute)
	w := wait(t, r)
	check("a second booking", 2*time.Minute)
	w.leave(t)
	await(t, "the turn to be back", func() bool { return s.debt() <= time.Minute })
	if _, _, _, ttl := s.held(); ttl <= 0 {
		t.Error("the key never expires after a turn was returned")
	}

	quick := closing(&reboundredis.Rate{Client: s.client(), Key: "quick", N: 100})
	if err := take(quick); err != nil {
		t.Fatal(err)
	}
	await(t, "the key to be gone", func() bool { return s.do("EXISTS", "quick").(int64) == 0 })
	if err := take(quick); err != nil {
		t.Errorf("after an idle time: %v", err)
	}
}

// A turn before that of another process is not returned to Redis.
func TestTurnsOfOthersStay(t *testing.T) {
	s := start(t)
	r, other := slow(s, time.Hour), slow(s, time.Hour)
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	first, second := wait(t, r), wait(t, other)
	before, _, _, _ := s.held()
	scripts := s.scripts()
	first.leave(t)
	await(t, "the turn to be offered", func() bool { return s.scripts() > scripts })
	if after, _, _, _ := s.held(); !after.Equal(before) {
		t.Errorf("the debt is %v less", before.Sub(after))
	}
	second.leave(t)
}

// Programs with different limits for one key: tokens that were taken count.
func TestChangedLimit(t *testing.T) {
	type limits struct {
		n     float64
		per   time.Duration
		burst int
	}
	for _, row := range []struct {
		name          string
		before, after limits
		taken         int
		wait          time.Duration // of the next attempt
	}{
		{"the same", limits{1, time.Hour, 1}, limits{1, time.Hour, 1}, 1, time.Hour},
		{"in other units", limits{1, time.Hour, 1}, limits{24, 24 * time.Hour, 1}, 1, time.Hour},
		{"raised", limits{1, 24 * time.Hour, 1}, limits{60, time.Hour, 1}, 1, time.Minute},
		{"raised by a shorter Per", limits{5, 24 * time.Hour, 5}, limits{5, time.Hour, 5}, 5,
			12 * time.Minute},
		{"a raised burst", limits{1, time.Hour, 1}, limits{1, time.Hour, 2}, 1, 0},
		{"a lowered burst", limits{1, time.Hour, 3}, limits{1, time.Hour, 1}, 3, 3 * time.Hour},
		{"lowered", limits{60, time.Hour, 1}, limits{1, time.Hour, 1}, 1, time.Minute},
		{"lowered, with a burst", limits{3600, time.Hour, 900}, limits{1, 24 * time.Hour, 1}, 900,
			15 * time.Minute},
		{"from the least to the most", limits{1, 87_600 * time.Hour, 1}, limits{1e6, time.Second, 1},
			1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t)
			rate := func(l limits) *reboundredis.Rate {
				return closing(&reboundredis.Rate{
					Client: s.client(), Key: "k", N: l.n, Per: l.per, Burst: l.burst,
				})
			}
			before, after := rate(row.before), rate(row.after)
			for range row.taken {
				if err := take(before); err != nil {
					t.Fatal(err)
				}
			}
			err := take(after)
			if err == nil {
				if row.wait > 0 {
					t.Errorf("there is no wait, want %v", row.wait)
				}
				return
			}
			d := fault.Of(err).After
			if !errors.Is(err, limit.ErrRate) || d > row.wait || d < row.wait-soon {
				t.Errorf("%v, in %v, want %v", err, d, row.wait)
			}
		})
	}
}

// While two programs have different limits, neither starves the other for longer than its own limit
// does.
func TestMixedLimits(t *testing.T) {
	s := start(t)
	daily := closing(&reboundredis.Rate{Client: s.client(), Key: "k", N: 1, Per: 24 * time.Hour})
	quick := closing(&reboundredis.Rate{Client: s.client(), Key: "k", N: 100, Wait: time.Second})
	if err := take(daily); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := take(quick); err != nil {
			t.Fatal(err)
		}
	}
}

// fake is a server that gives the same answer to every script.
type fake struct {
	redis.Scripter
	reply any
}

func (f fake) EvalSha(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(f.reply)
	return cmd
}

// Any other answer of the server is an error.
func TestForeignAnswers(t *testing.T) {
	good := []any{int64(1), "0", "1"}
	for i, reply := range []any{
		good, "OK", int64(1), []any{}, good[:2], append(good[:3:3], "more"), []any{"1", "0", "1"},
		[]any{int64(1), int64(0), "1"}, []any{int64(1), "0", nil}, []any{int64(1), "0.5", "1"},
		[]any{int64(1), "0", "x"},
	} {
		r := closing(&reboundredis.Rate{Client: fake{reply: reply}, Key: "k", N: 1})
		err := take(r)
		var own *reboundredis.Error
		if want := i == 0; (err == nil) != want ||
			!want && (!errors.As(err, &own) || fault.Of(err).Kind != fault.Permanent) {
			t.Errorf("%#v: %v", reply, err)
		}
	}
	r := closing(&reboundredis.Rate{Client: fake{reply: []any{int64(1)}}, Key: "k", N: 1})
	if err := take(r); !strings.Contains(err.Error(), "the script returned [") {
		t.Error(err)
	}
}
