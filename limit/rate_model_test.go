package limit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/limit"
)

// slowRate is a textbook token bucket, with an explicit queue and time in steps of a millisecond.
type slowRate struct {
	tokens, burst, perMs float64
	queue                []*slowWaiter
}

type slowWaiter struct {
	id   int
	n    float64
	left int // ms until it is cancelled
}

func (s *slowRate) tick() (served, canceled []int) {
	s.tokens = min(s.tokens+s.perMs, s.burst)
	s.queue = slices.DeleteFunc(s.queue, func(w *slowWaiter) bool {
		if w.left--; w.left == 0 {
			canceled = append(canceled, w.id)
		}
		return w.left == 0
	})
	return s.serve(), canceled
}

// serve gives tokens to waiting attempts. A full bucket serves any attempt, for a debt.
func (s *slowRate) serve() (served []int) {
	for len(s.queue) > 0 && s.tokens >= min(s.queue[0].n, s.burst)-1e-6 {
		s.tokens -= s.queue[0].n
		served = append(served, s.queue[0].id)
		s.queue = s.queue[1:]
	}
	return served
}

func (s *slowRate) debit(n float64) { s.tokens = min(s.tokens-n, s.burst) }

// learn takes the remaining tokens, or none before the reset, as the maximum.
func (s *slowRate) learn(remaining float64, reset time.Duration) {
	if remaining < 1 {
		remaining = min(remaining, 1-s.perMs*float64(reset/ms))
	}
	s.tokens = min(s.tokens, remaining)
}

// rateModel is a Rate beside its model, and the result of each attempt in both.
type rateModel struct {
	rate  *limit.Rate
	model *slowRate
	begin time.Time

	mu        sync.Mutex
	got, want []string
}

func (m *rateModel) expect(ids []int, ok bool) {
	for _, id := range ids {
		at := time.Since(m.begin).Round(ms)
		m.want = append(m.want, fmt.Sprintf("%v: %d %v", at, id, ok))
	}
}

// take takes n tokens in both, and gives up after so many milliseconds.
func (m *rateModel) take(t *testing.T, id int, n float64, after int) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(time.Duration(after)*ms-ms/4, cancel)
	go func() {
		err := m.rate.Take(ctx, n)
		stop.Stop()
		cancel()
		m.mu.Lock()
		defer m.mu.Unlock()
		at := time.Since(m.begin).Round(ms)
		m.got = append(m.got, fmt.Sprintf("%v: %d %v", at, id, err == nil))
	}()
	synctest.Wait()
	m.model.queue = append(m.model.queue, &slowWaiter{id, n, after})
	m.expect(m.model.serve(), true)
}

// tick is due after each millisecond.
func (m *rateModel) tick() {
	synctest.Wait()
	served, canceled := m.model.tick()
	m.expect(served, true)
	m.expect(canceled, false)
}

func (m *rateModel) compare(t *testing.T) {
	synctest.Wait()
	slices.Sort(m.got)
	slices.Sort(m.want)
	if !slices.Equal(m.got, m.want) {
		t.Fatalf("got  %q\nwant %q", m.got, m.want)
	}
}

// Random attempts, some of them cancelled, are served in the order and at the times of a model, and
// so are those beside random debits and reports.
func TestRateModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			playRate(t, rand.New(rand.NewPCG(seed, 1)), seed%2 > 0)
		})
	}
}

func playRate(t *testing.T, r *rand.Rand, moves bool) {
	burst := 1 + r.IntN(5)
	m := &rateModel{
		rate:  &limit.Rate{N: 100, Burst: burst, Wait: time.Hour}, // a token in 10 ms
		model: &slowRate{tokens: float64(burst), burst: float64(burst), perMs: 0.1},
		begin: time.Now(),
	}
	for id := range 60 {
		most := burst
		if moves {
			most += 3 // a few are more than the bucket
		}
		m.take(t, id, float64(1+r.IntN(most)), 1+r.IntN(400))
		if moves {
			switch n := float64(r.IntN(8)); r.IntN(8) {
			case 0:
				m.rate.Debit(n)
				m.model.debit(n)
			case 1, 2:
				m.rate.Debit(-n)
				m.model.debit(-n)
			case 3:
				reset := time.Duration(r.IntN(60)) * ms
				m.rate.Learn(n-1, reset)
				m.model.learn(max(n-1, 0), reset)
			}
			synctest.Wait()
			m.expect(m.model.serve(), true)
		}
		for range r.IntN(30) {
			time.Sleep(ms)
			m.tick()
		}
	}
	for len(m.model.queue) > 0 {
		time.Sleep(ms)
		m.tick()
	}
	m.compare(t)
}
