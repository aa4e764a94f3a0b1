// Package hedge shortens the slow tail of calls. If the first attempt has not answered within the
// time that most answers take, a second attempt starts beside it. The first answer is returned.
//
// Hedging suits reads and other calls that may happen twice, at services where slowness is chance:
// a pause of one replica, a lost packet, a cold cache. It is not retrying: a failure before the
// delay is over is returned at once. For retries, put a policy around the hedge. Gates and breakers
// belong inside, where they see each attempt:
//
//	v, err := rebound.Do(ctx, policy, func(ctx context.Context) (T, error) {
//		return hedge.Do(ctx, h, call, nil)
//	})
//
// Hedging does not double the load of a service that is slow as a whole. At most a tenth of the
// recent calls is hedged, a budget pays for each hedge, and the measured delay grows with the
// response times. The idea is from Dean and Barroso, "The Tail at Scale" (Communications of the
// ACM, 2013).
package hedge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/hedging"
)

// ErrLost is the cause, by context.Cause, of the context of an attempt that ends because another
// attempt has answered.
var ErrLost = errors.New("hedge: another attempt answered first")

const (
	defaultMax = 1
	ownDeposit = 0.05 // of the budget that a Hedge has of its own
)

// Hedge describes when calls are hedged, and records how long they take. The zero Hedge is ready to
// use. Use one Hedge for calls that take about the same time. Any number of goroutines may share
// it. Once it is in use, do not copy it or change its fields.
type Hedge struct {
	// Name is the hedge's name in events, logs and metrics.
	Name string

	// After is the delay before the first hedge of a call, and between further ones. 0 = measured, by
	// Percentile.
	After time.Duration

	// Percentile, between 0 and 1, is the share of successes that came within the measured delay. The
	// last 500 to 1000 successes count. There are no hedges before the first 20 successes. 0 = 0.95,
	// with which about one call in twenty is hedged.
	Percentile float64

	// Max is the largest number of hedges of one call. 0 = 1.
	Max int

	// Budget pays for hedges; each takes a token. Share the budget of the policy around the hedge, so
	// that retries and hedges together stay a share of the traffic. Do only takes tokens; the policy's
	// successes give them back. Nil = a budget of the Hedge's own, to which each success of Do gives
	// back 0.05 tokens.
	Budget *budget.Budget

	// Observe is called with every Event. Attempts of one call may call it at the same time. It must
	// not block, because the attempt waits for it. Nil = none.
	Observe func(context.Context, Event)

	// Both are read on every call. Atomics keep such reads from waiting for mu.
	own   atomic.Pointer[budget.Budget] // made at the first hedge
	delay atomic.Int64                  // what the state said last

	// mu guards the fields below it.
	mu     sync.Mutex
	state  hedging.State
	counts counts
}

// counts are the totals of a Snapshot.
type counts struct{ calls, hedges, won, denied uint64 }

// shared is the hedge of all calls without one.
var shared Hedge

// Validate returns an error that names the first invalid field and its valid values, or nil. A call
// with an invalid Hedge fails with that error.
func (h *Hedge) Validate() error {
	if h == nil {
		return nil
	}
	if h.After < 0 {
		return fmt.Errorf("hedge: After is %v: want a positive duration, or 0 for a measured one",
			h.After)
	}
	if h.Percentile != 0 && !(h.Percentile > 0 && h.Percentile < 1) {
		return fmt.Errorf("hedge: Percentile is %v: want more than 0 and less than 1, "+
			"or 0 for the default", h.Percentile)
	}
	if h.After > 0 && h.Percentile > 0 {
		return fmt.Errorf("hedge: After is %v and Percentile is %v: want one of them",
			h.After, h.Percentile)
	}
	if h.Max < 0 {
		return fmt.Errorf("hedge: Max is %d: want 1 or more, or 0 for %d", h.Max, defaultMax)
	}
	if h.Budget != nil {
		if err := h.Budget.Validate(); err != nil {
			return fmt.Errorf("hedge: Budget: %w", err)
		}
	}
	return nil
}

// Snapshot is the state of a Hedge at one moment: plain data, ready for JSON. The counts are totals
// since the Hedge was first used.
type Snapshot struct {
	Name    string        `json:"name"`
	Calls   uint64        `json:"calls"`    // that ended, other than by a panic
	Hedges  uint64        `json:"hedges"`   // that began
	Won     uint64        `json:"won"`      // hedges whose answer a call returned
	Denied  uint64        `json:"denied"`   // hedges that were due but not allowed
	Delay   time.Duration `json:"delay_ns"` // now, until a hedge; 0 = too few samples yet
	Samples int           `json:"samples"`  // successes that a measured delay rests on
}

// Snapshot returns the state of h now.
func (h *Hedge) Snapshot() Snapshot {
	if h == nil {
		h = &shared
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return Snapshot{
		Name: h.Name, Calls: h.counts.calls, Hedges: h.counts.hedges, Won: h.counts.won,
		Denied: h.counts.denied, Delay: h.state.Delay(h.config()), Samples: h.state.Samples(),
	}
}

func (h *Hedge) config() hedging.Config {
	return hedging.Config{After: h.After, Percentile: h.Percentile}
}

func (h *Hedge) max() int {
	if h.Max == 0 {
		return defaultMax
	}
	return h.Max
}

// begin returns the delay before a call's hedges, or 0 for none. It takes no lock, because every
// call needs it.
func (h *Hedge) begin() time.Duration {
	if h.After > 0 {
		return h.After
	}
	return time.Duration(h.delay.Load())
}

// take counts and pays a hedge that is due, or returns why it must not start.
func (h *Hedge) take() Reason {
	h.mu.Lock()
	defer h.mu.Unlock()
	denied := h.state.Hedge(clock.Now())
	// The State has counted the hedge already, but without a token it does not start.
	if denied == "" && h.budget().Take() != nil {
		h.state.Undo()
		denied = hedging.Budget
	}
	if denied != "" {
		h.counts.denied++
		return Reason(denied)
	}
	h.counts.hedges++
	return ""
}

// budget returns the budget that pays for hedges. The Hedge's own has no refill, so that a service
// without successes soon gets no hedges.
func (h *Hedge) budget() *budget.Budget {
	if h.Budget != nil {
		return h.Budget
	}
	if h.own.Load() == nil {
		h.own.CompareAndSwap(nil, &budget.Budget{Deposit: ownDeposit, Refill: budget.None})
	}
	return h.own.Load()
}

// clock returns the time at which a call starts, or 0 if nothing depends on it. A fixed delay
// without Observe needs no clock.
func (h *Hedge) clock() time.Duration {
	if h.After > 0 && h.Observe == nil {
		return 0
	}
	return clock.Now()
}

// elapsed returns the time since start, or 0 if h has no use for it.
func (h *Hedge) elapsed(start time.Duration) time.Duration {
	if h.After > 0 {
		return 0
	}
	return clock.Now() - start
}

// success counts a call that was answered after took. won reports whether a hedge has answered it.
func (h *Hedge) success(took time.Duration, won bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(won)
	if b := h.own.Load(); b != nil {
		b.Success()
	}
	if h.After == 0 {
		h.state.Success(h.config(), took)
		h.delay.Store(int64(h.state.Delay(h.config())))
	}
}

// failure counts a call whose attempts all failed. Its time says nothing about the time of answers.
func (h *Hedge) failure() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(false)
}

// end counts a call. The caller holds h.mu.
func (h *Hedge) end(won bool) {
	h.counts.calls++
	h.state.End()
	if won {
		h.counts.won++
	}
}

// meet records what the error of an attempt means. If the error shows that the server is short of
// room, all hedging stops for a while. The result reports whether hedging of this call ends: after
// such an error, and after one that another attempt would get too.
func (h *Hedge) meet(f fault.Fault) (ends bool) {
	if f.Kind == fault.RateLimited || f.Kind == fault.Overloaded || f.After > 0 {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.state.Throttle(clock.Now(), f.After)
		return true
	}
	return f.Kind == fault.Permanent
}
