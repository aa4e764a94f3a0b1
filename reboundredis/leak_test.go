package reboundredis_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// noGoroutines waits until no goroutine of the package under test is left.
func noGoroutines(t *testing.T) {
	t.Helper()
	stacks := func() string {
		buf := make([]byte, 1<<20)
		return string(buf[:runtime.Stack(buf, true)])
	}
	await(t, "the goroutines to end: "+stacks(), func() bool {
		return !strings.Contains(stacks(), "rebound/reboundredis.(")
	})
}

// Attempts come and are canceled while Redis fails and recovers. In the end nothing is left: no
// goroutine, no wait, and only the turns that were taken.
func TestHammer(t *testing.T) {
	for _, per := range []time.Duration{time.Second, time.Minute} { // with leases and without
		s := start(t)
		around := &breaker.Breaker{Failures: 1, Cooldown: 20 * time.Millisecond}
		r := &reboundredis.Rate{
			Client: s.client(), Key: "k", N: 60_000, Per: per, Wait: 20 * time.Millisecond,
			Breaker: around, Local: &limit.Rate{N: 1000, Wait: time.Millisecond}, Timeout: patient,
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 150 {
					ctx, cancel := context.WithCancel(t.Context())
					if rand.IntN(2) == 0 {
						time.AfterFunc(rand.N(3*time.Millisecond), cancel)
					}
					err := r.Take(ctx, 1)
					if err != nil && ctx.Err() == nil && !errors.Is(err, limit.ErrRate) {
						t.Error(err)
					}
					_, _ = r.Snapshot(), r.Refusal(time.Millisecond)
					cancel()
				}
			})
		}
		for range 3 {
			s.kill()
			s.run()
		}
		wg.Wait()
		if s := r.Snapshot(); s.Waiting != 0 {
			t.Errorf("%d wait in the end", s.Waiting)
		}
		noGoroutines(t)
		await(t, "the limit to be usable", func() bool { return take(r) == nil })
	}
}

func TestVerdictsLeaveNothing(t *testing.T) {
	for _, outage := range []func(*server){func(*server) {}, (*server).kill, (*server).pause} {
		s := start(t)
		var all []*member
		for range 5 {
			all = append(all, join(t, s))
		}
		s.subscribed(5)
		outage(s)
		var wg sync.WaitGroup
		for _, m := range all {
			wg.Go(func() {
				if pass, err := m.Enter(t.Context()); err == nil { // no other has failed before
					m.Leave(pass, gate.Outcome{})
				}
			})
			wg.Go(m.verdicts.Close)
			wg.Go(m.verdicts.Close)
		}
		wg.Wait()
		for _, m := range all {
			m.verdicts.Close()
			if m.State() != breaker.Open {
				t.Errorf("a breaker is %v", m.State())
			}
		}
		noGoroutines(t)
	}
}

// A key may have any bytes. Errors quote it.
func TestHostileKeys(t *testing.T) {
	s := start(t)
	for _, key := range []string{
		"a b", "\x00\r\n", "KEYS[1]'\"]]", "{a}{b}", "{}", "\xff\xfe", strings.Repeat("k", 1<<16),
		"*3\r\n$3\r\nSET\r\n", "\u202e",
	} {
		r := closing(&reboundredis.Rate{Client: s.client(), Key: key, N: 1, Per: time.Hour})
		if err := take(r); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		err := take(r)
		if !errors.Is(err, limit.ErrRate) || strings.ContainsAny(err.Error(), "\r\n\x00\u202e") ||
			strings.Contains(err.Error(), "\xff") {
			t.Errorf("%q: %v", key, err)
		}
		m := join(t, s, func(m *member) { m.verdicts.Key = key })
		m.fail(t)
		await(t, "another breaker to open", isOpen(join(t, s, func(m *member) {
			m.verdicts.Key = key
		})))
	}
}
