package outage

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/internal/clock"
)

// Rest delays all rows of a process, for example until the cooldown of a breaker is over. The zero
// Rest delays none.
type Rest struct{ until atomic.Int64 } // a clock.Now

// Extend delays the rows for d or longer. The longest delay counts. A d of 0 delays none.
func (r *Rest) Extend(d time.Duration) {
	if d <= 0 {
		return
	}
	until := int64(clock.Now() + d)
	for old := r.until.Load(); old < until && !r.until.CompareAndSwap(old, until); {
		old = r.until.Load()
	}
}

// Wait waits until the delay is over. It returns false if ctx ends first.
func (r *Rest) Wait(ctx context.Context) bool {
	for {
		until := time.Duration(r.until.Load())
		if until == 0 || until <= clock.Now() {
			return true
		}
		if clock.Sleep(ctx, until-clock.Now()) != nil {
			return false
		}
	}
}
