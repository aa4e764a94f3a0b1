package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// slowConcurrency is the reference: two lists and no concurrency.
type slowConcurrency struct {
	most, queue int
	wait        time.Duration
	inside      []int
	waiting     []slowPlace
	log         []string // since it was last looked at
}

type slowPlace struct {
	id    int
	until time.Duration // 0 = never
}

func (m *slowConcurrency) enter(id int, now time.Duration) {
	switch {
	case len(m.inside) < m.most && len(m.waiting) == 0:
		m.inside = append(m.inside, id)
		m.note(id, "in")
	case len(m.waiting) < m.queue:
		w := slowPlace{id: id}
		if m.wait > 0 {
			w.until = now + m.wait
		}
		m.waiting = append(m.waiting, w)
	default:
		m.note(id, "full")
	}
}

func (m *slowConcurrency) leave(i int) {
	m.inside = slices.Delete(m.inside, i, i+1)
	for len(m.waiting) > 0 && len(m.inside) < m.most {
		id := m.waiting[0].id
		m.waiting = m.waiting[1:]
		m.inside = append(m.inside, id)
		m.note(id, "in")
	}
}

func (m *slowConcurrency) cancel(i int) {
	m.note(m.waiting[i].id, "canceled")
	m.waiting = slices.Delete(m.waiting, i, i+1)
}

func (m *slowConcurrency) pass(now time.Duration) {
	m.waiting = slices.DeleteFunc(m.waiting, func(w slowPlace) bool {
		over := w.until > 0 && w.until <= now
		if over {
			m.note(w.id, "full")
		}
		return over
	})
}

func (m *slowConcurrency) note(id int, what string) {
	m.log = append(m.log, fmt.Sprint(id, " ", what))
}

// attempts are those made at the limit under test.
type attempts struct {
	gate    gate.Gate
	cancels map[int]context.CancelFunc
	mu      sync.Mutex
	log     []string
}

func (a *attempts) enter(id int) {
	// A gate that keeps state for each attempt finds the attempt's number there.
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), a.gate, id))
	a.cancels[id] = cancel
	go func() {
		_, err := a.gate.Enter(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case err == nil:
			a.log = append(a.log, fmt.Sprint(id, " in"))
		case errors.Is(err, limit.ErrFull):
			a.log = append(a.log, fmt.Sprint(id, " full"))
		default:
			a.log = append(a.log, fmt.Sprint(id, " canceled"))
		}
	}()
}

// news returns the log since the last call, sorted.
func (a *attempts) news() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	log := a.log
	a.log = nil
	slices.Sort(log)
	return log
}

func TestConcurrencyModel(t *testing.T) {
	for seed := range uint64(300) {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { compareConcurrency(t, seed) })
		}) {
			return
		}
	}
}

func compareConcurrency(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	m := &slowConcurrency{most: 1 + r.IntN(4), queue: r.IntN(6)}
	if m.queue > 0 && r.IntN(2) > 0 {
		m.wait = time.Duration(1+r.IntN(9))*time.Second + time.Millisecond
	}
	c := &limit.Concurrency{Max: m.most, Queue: m.queue, Wait: m.wait}
	a := &attempts{gate: c, cancels: map[int]context.CancelFunc{}}
	start := time.Now()
	for step := range 300 {
		now := time.Since(start)
		switch op := r.IntN(8); {
		case op < 4:
			m.enter(step, now)
			a.enter(step)
		case op < 6 && len(m.inside) > 0:
			m.leave(r.IntN(len(m.inside)))
			c.Leave(gate.Pass{}, gate.Outcome{Result: gate.Result(r.IntN(3))})
		case op == 6 && len(m.waiting) > 0:
			i := r.IntN(len(m.waiting))
			a.cancels[m.waiting[i].id]()
			m.cancel(i)
		default:
			time.Sleep(time.Duration(r.IntN(3)) * time.Second)
			m.pass(time.Since(start))
		}
		synctest.Wait()
		slices.Sort(m.log)
		if got := a.news(); !slices.Equal(m.log, got) {
			t.Fatalf("step %d of %+v: %q, want %q", step, c, got, m.log)
		}
		m.log = nil
		s := c.Snapshot()
		if s.InFlight != len(m.inside) || s.Waiting != len(m.waiting) {
			t.Fatalf("step %d: %+v, want %d in flight and %d waiting",
				step, s, len(m.inside), len(m.waiting))
		}
	}
	for len(m.waiting) > 0 {
		a.cancels[m.waiting[0].id]()
		m.cancel(0)
	}
	synctest.Wait()
	for range m.inside {
		c.Leave(gate.Pass{}, success)
	}
	checkFree(t, c)
}
