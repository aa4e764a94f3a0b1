package sim

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

// rateOp is a call, or an answer of the server to learn from, at a time.
type rateOp struct {
	at    time.Duration
	learn bool
	left  int
	reset time.Duration // to learn
	last  time.Duration // of a call: its deadline
}

// TestPacerAgainstRate gives a limit.Rate and its model the same calls and answers. Each call is
// admitted or rejected at the same time in both.
func TestPacerAgainstRate(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &limit.Rate{Burst: r.IntN(3), Wait: time.Duration(r.IntN(2000)) * ms}
		if seed%4 > 0 {
			l.N = float64(1 + r.IntN(20))
		}
		var ops []rateOp
		at := time.Duration(0)
		for range 60 {
			at += time.Duration(r.IntN(100))*ms + 1
			ops = append(ops, rateOp{
				at: at, learn: r.IntN(8) == 0, left: r.IntN(3), reset: time.Duration(r.IntN(900)) * ms,
				last: at + time.Duration(1+r.IntN(3000))*ms,
			})
		}
		want := passReal(t, l, ops)
		if got := passModel(newRate(l), ops); !slices.Equal(got, want) {
			t.Fatalf("seed %d, %v per second, burst %d, wait %v:\ngot  %q\nwant %q",
				seed, l.N, l.Burst, l.Wait, got, want)
		}
	}
}

// news is the result of a call. Times are rounded, because real timers add some nanoseconds.
func news(id uint32, at time.Duration, passed bool) string {
	return fmt.Sprintf("%03d %v %v", id, at.Round(10*time.Microsecond), passed)
}

func passReal(t *testing.T, l *limit.Rate, ops []rateOp) (all []string) {
	fresh := &limit.Rate{N: l.N, Burst: l.Burst, Wait: l.Wait}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var calls sync.WaitGroup
		for i, op := range ops {
			time.Sleep(op.at - time.Since(start))
			if op.learn {
				fresh.Learn(float64(op.left), op.reset)
				continue
			}
			calls.Go(func() {
				ctx, cancel := context.WithDeadline(t.Context(), start.Add(op.last))
				defer cancel()
				err := fresh.Take(ctx, 1)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, news(uint32(i), time.Since(start), err == nil))
			})
			synctest.Wait()
		}
		calls.Wait()
	})
	slices.Sort(all)
	return all
}

func passModel(p *pacer, ops []rateOp) (all []string) {
	wakes := map[uint32]time.Duration{}
	settle := func(id uint32, now, due time.Duration, e entry) {
		delete(wakes, id)
		if e == queued {
			wakes[id] = due
		} else {
			all = append(all, news(id, now, e == admitted))
		}
		for _, w := range p.moved() {
			wakes[w.id] = w.due()
		}
	}
	// until wakes all calls that are due before a time, in order.
	until := func(end time.Duration) {
		for {
			first, found := uint32(0), false
			for id, at := range wakes {
				if at < end && (!found || at < wakes[first] || at == wakes[first] && id < first) {
					first, found = id, true
				}
			}
			if !found {
				return
			}
			now := wakes[first]
			e, due := p.wake(first, now)
			settle(first, now, due, e)
		}
	}
	for i, op := range ops {
		until(op.at)
		if op.learn {
			p.learn(op.at, float64(op.left), op.reset)
			for _, w := range p.moved() {
				wakes[w.id] = w.due()
			}
			continue
		}
		e, due := p.enter(uint32(i), op.at, op.last, nil)
		settle(uint32(i), op.at, due, e)
	}
	until(time.Hour)
	slices.Sort(all)
	return all
}
