// Package hedge cuts the slow tail of calls: when the first attempt has not answered in the time
// that most answers take, a second one is made beside it, and the first answer wins.
//
// That suits reads and other calls that may happen twice, at services where slowness is chance: a
// pause of one replica, a lost packet, a cold cache. Hedging is not retrying: a failure before the
// delay is over is returned at once. Put a policy around it for that, and gates and breakers
// inside, where they see each attempt:
//
//	v, err := rebound.Do(ctx, policy, func(ctx context.Context) (T, error) {
//		return hedge.Do(ctx, h, call, nil)
//	})
//
// A service that is slow as a whole is not asked twice: hedges are a tenth of the recent calls at
// most, each is paid from a budget, and the measured delay grows with the answers' times.
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

// ErrLost is the cause, by context.Cause, for which the attempts of a call end when another one has
// answered.
var ErrLost = errors.New("hedge: another attempt answered first")

const (
	defaultMax = 1
	ownDeposit = 0.05 // of the budget that a Hedge has of its own
)

// Hedge says when calls are hedged, and remembers how long they take. The zero Hedge is ready. One
// Hedge is for the calls that take about as long as each other, by any number of goroutines. Once
// in use it must not be copied, nor its fields changed.
type Hedge struct {
	// Name is the hedge's name in events, logs and metrics.
	Name string

	// After is the time without an answer after which a hedge begins, and each further one.
	// 0 = measured, by Percentile.
	After time.Duration

	// Percentile, between 0 and 1, makes the delay the time in which that share of the last
	// successes came; the last 500 to 1000 count. There are no hedges before 20 successes.
	// 0 = 0.95, so that about one call in twenty is hedged.
	Percentile float64

	// Max is the largest number of hedges of one call. 0 = 1.
	Max int

	// Budget pays for hedges: each takes a token. Share that of the policy around, so that
	// retries and hedges together stay a share of the traffic. Do only takes from it; successes of
	// the policy give back. Nil = a budget of the Hedge's own, to which each success of Do gives
	// back 0.05 tokens.
	Budget *budget.Budget

	// Observe is called with every Event. Attempts of one call may call it at the same time. It
	// must not block, because the attempt waits for it. Nil = none.
	Observe func(context.Context, Event)

	own   atomic.Pointer[budget.Budget] // made at the first hedge
	delay atomic.Int64                  // what the state said last

	mu     sync.Mutex // guards what follows
	state  hedging.State
	counts counts
}

// counts are those of a Snapshot.
type counts struct{ calls, hedges, won, denied uint64 }

// shared is the hedge of all calls without one.
var shared Hedge

// Validate returns an error that names the first invalid field and a valid value. A call with an
// invalid Hedge fails with that error.
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

// Snapshot is the state of a Hedge at one moment: plain data, ready for JSON.
type Snapshot struct {
	Name    string        `json:"name"`
	Calls   uint64        `json:"calls"`    // that ended, other than by a panic
	Hedges  uint64        `json:"hedges"`   // that began
	Won     uint64        `json:"won"`      // hedges that brought the answer
	Denied  uint64        `json:"denied"`   // hedges that were due and not allowed
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

// begin returns the delay of a call's hedges, 0 for none.
func (h *Hedge) begin() time.Duration {
	if h.After > 0 {
		return h.After
	}
	return time.Duration(h.delay.Load())
}

// take counts and pays a hedge that is due, or returns why it must not begin.
func (h *Hedge) take() Reason {
	h.mu.Lock()
	defer h.mu.Unlock()
	denied := h.state.Hedge(clock.Now())
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

// budget returns what pays for hedges.
func (h *Hedge) budget() *budget.Budget {
	if h.Budget != nil {
		return h.Budget
	}
	if h.own.Load() == nil {
		h.own.CompareAndSwap(nil, &budget.Budget{Deposit: ownDeposit, Refill: budget.None})
	}
	return h.own.Load()
}

// clock returns the time at which a call begins, or 0 if h has no use for it.
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

// success counts a call that was answered after took, by a hedge or not.
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

// failure counts a call of which all attempts failed.
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

// meet takes what the error of an attempt means. One that shows the server short of room ends
// hedging for a while. The result says whether it ends hedging for this call: such an error does,
// and one that another attempt would meet as well.
func (h *Hedge) meet(f fault.Fault) (ends bool) {
	if f.Kind == fault.RateLimited || f.Kind == fault.Overloaded || f.After > 0 {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.state.Throttle(clock.Now(), f.After)
		return true
	}
	return f.Kind == fault.Permanent
}
