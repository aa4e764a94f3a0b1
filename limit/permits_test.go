package limit

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/gate"
)

// Whatever goroutines do at once, at most Max are inside. At the end the word is zero and the queue
// is empty.
func TestPermitsHammer(t *testing.T) {
	for _, c := range []*Concurrency{
		{Max: 1}, {Max: 1, Queue: 1}, {Max: 3, Queue: 100},
		{Max: 2, Queue: 3, Wait: 20 * time.Microsecond},
	} {
		var inside, admitted atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 2000 {
					var one sync.WaitGroup
					one.Go(func() { visitAtRandom(t, c, &inside, &admitted) })
					one.Wait()
				}
			})
		}
		all.Wait()
		if w := c.permits.word.Load(); w != 0 || c.permits.first != nil || c.permits.last != nil {
			t.Errorf("%+v: afterwards the word is %#x, the queue %v to %v", c, w,
				c.permits.first, c.permits.last)
		}
		if admitted.Load() == 0 {
			t.Errorf("%+v: no attempt was admitted", c)
		}
	}
}

func visitAtRandom(t *testing.T, c *Concurrency, inside, admitted *atomic.Int64) {
	ctx := context.Background()
	switch rand.IntN(4) {
	case 0:
		short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(50))*time.Microsecond)
		defer cancel()
		ctx = short
	case 1:
		short, cancel := context.WithCancel(ctx)
		go cancel()
		ctx = short
	}
	pass, err := c.Enter(ctx)
	if err != nil {
		return
	}
	admitted.Add(1)
	defer func() { _ = recover() }()
	defer c.Leave(pass, gate.Outcome{})
	defer inside.Add(-1)
	if n := inside.Add(1); n > int64(c.Max) {
		t.Errorf("%d inside, want at most %d", n, c.Max)
	}
	switch rand.IntN(4) {
	case 0:
		runtime.Gosched()
	case 1:
		panic("a bug")
	case 2:
		runtime.Goexit()
	}
}

// The limit of an Adaptive changes while attempts wait.
func TestPermitsWithAnotherLimit(t *testing.T) {
	var p permits
	most := 1
	limit := func() int { return most }
	if !p.take(most) {
		t.Fatal("no permit")
	}
	var admitted sync.WaitGroup
	for range 3 {
		admitted.Go(func() {
			if !p.wait(t.Context(), limit, 3, 0) {
				t.Error("not admitted")
			}
		})
	}
	for _, waiting := p.load(); waiting < 3; _, waiting = p.load() {
		runtime.Gosched()
	}
	p.grant(4)
	admitted.Wait()
	for n := 4; n > 1; n-- {
		if p.drop() {
			t.Error("an attempt waits")
		}
		if p.take(1) {
			t.Errorf("took a permit of 1 with %d under way", n-1)
		}
	}
	p.drop()
	if w := p.word.Load(); w != 0 {
		t.Errorf("afterwards the word is %#x", w)
	}
}

// Between a Leave and the hand-over, a new attempt must not take the permit of a waiting one.
func TestPermitsNobodyBargesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p permits
		p.take(1)
		in := make(chan bool, 1)
		go func() { in <- p.wait(t.Context(), func() int { return 1 }, 1, 0) }()
		synctest.Wait()
		if !p.drop() {
			t.Error("no attempt waits")
		}
		if p.take(1) {
			t.Error("a new attempt takes the permit before the waiting one")
		}
		p.grant(1)
		if !<-in {
			t.Error("the one that waited was not admitted")
		}
	})
}

// If a permit reaches an attempt whose context has ended, the next one gets it.
func TestPermitsPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p permits
		most := func() int { return 1 }
		p.take(1)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan bool, 1), make(chan bool, 1)
		go func() { first <- p.wait(ctx, most, 2, 0) }()
		synctest.Wait()
		go func() { second <- p.wait(t.Context(), most, 2, 0) }()
		synctest.Wait()
		p.mu.Lock()
		cancel()
		p.drop()
		p.grantLocked(1)
		p.mu.Unlock()
		if <-first {
			t.Error("an attempt whose context has ended was admitted")
		}
		if !<-second {
			t.Error("the next one was not admitted")
		}
	})
}

// An attempt that enters the queue at the moment when the limit grows gets a permit.
func TestPermitsOfALimitThatGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p permits
		p.take(1)
		limit := 1
		most := func() int {
			before := limit
			if limit = 2; before == 1 {
				if p.mu.TryLock() {
					p.grantLocked(limit)
					p.mu.Unlock()
				} else {
					go p.grant(limit)
				}
			}
			return before
		}
		if !p.wait(t.Context(), most, 1, time.Second) {
			t.Error("not admitted")
		}
	})
}
