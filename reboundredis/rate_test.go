package reboundredis_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
	"github.com/rebound-go/rebound/reboundtest"
)

// patient is a Timeout for tests on a busy machine.
const patient = 10 * time.Second

// closing makes the limit reject everything while Redis is down.
func closing(r *reboundredis.Rate) *reboundredis.Rate {
	r.FailClosed, r.Timeout = true, patient
	return r
}

func take(r *reboundredis.Rate) error { return r.Take(context.Background(), 1) }

func TestRateIsAGate(t *testing.T) {
	s := start(t)
	n := 0
	for _, per := range []time.Duration{time.Second, time.Minute} { // with leases and without
		reboundtest.TestGate(t, func() gate.Gate {
			n++
			return closing(&reboundredis.Rate{
				Client: s.client(), Key: strings.Repeat("k", n), N: 50_000, Per: per, Burst: 2000,
			})
		}, reboundtest.GateTraits{})
	}
	s.kill()
	client := s.client()
	reboundtest.TestGate(t, func() gate.Gate {
		return &reboundredis.Rate{
			Client: client, Key: "k", N: 1, Local: &limit.Rate{N: 1e6, Burst: 2000},
		}
	}, reboundtest.GateTraits{})
}

func TestBurstIsShared(t *testing.T) {
	s := start(t)
	var passed, rejected atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		r := closing(&reboundredis.Rate{
			Client: s.client(), Key: "k", N: 1, Per: time.Hour, Burst: 10,
		})
		for range 10 {
			wg.Go(func() {
				switch err := take(r); {
				case err == nil:
					passed.Add(1)
				case errors.Is(err, limit.ErrRate):
					rejected.Add(1)
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if passed.Load() != 10 || rejected.Load() != 30 {
		t.Errorf("%d passed and %d were rejected, want 10 and 30", passed.Load(), rejected.Load())
	}
}

func TestRejection(t *testing.T) {
	s := start(t)
	r := closing(&reboundredis.Rate{
		Client: s.client(), Name: "ocr", Key: "k", N: 1, Per: time.Hour, Wait: time.Minute,
	})
	if err := r.Refusal(0); err != nil {
		t.Errorf("Refusal of a fresh limit: %v", err)
	}
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	err := take(r)
	const text = "limit ocr: rate limit reached (1 per 1h0m0s, shared)"
	var rejection *limit.Error
	if !errors.As(err, &rejection) || !errors.Is(err, limit.ErrRate) || err.Error() != text {
		t.Errorf("got %v, want %s", err, text)
	}
	f := fault.Of(err)
	if f.Kind != fault.RateLimited || f.Sent != fault.NotSent || f.After > time.Hour ||
		f.After < 50*time.Minute {
		t.Errorf("classified as %v, sent %v, after %v", f.Kind, f.Sent, f.After)
	}
	if got := r.Refusal(time.Minute); got != err {
		t.Errorf("Refusal after a minute: %v", got)
	}
	if got := r.Refusal(time.Hour); got != nil {
		t.Errorf("Refusal after an hour: %v", got)
	}
	snapshot := r.Snapshot()
	if snapshot.Level > 0.5 || snapshot.Level < -0.5 {
		t.Errorf("level %v, want 0", snapshot.Level)
	}
	snapshot.Level = 0
	want := limit.Snapshot{Name: "ocr", Kind: "rate", Limit: 1.0 / 3600, Rejected: 1}
	if snapshot != want {
		t.Errorf("got %+v, want %+v", snapshot, want)
	}
}
