// Package clock reads the time as one number, which is cheaper than a [time.Time] and fits in an
// atomic word.
package clock

import (
	"context"
	"time"
)

// Now returns the monotonic time since an arbitrary fixed start. It is positive even in a synctest
// bubble, where the year is 2000, so 0 is always in the past.
func Now() time.Duration { return time.Since(start) + origin }

// InBubble reports whether now is the time of a synctest bubble, which is before start.
func InBubble(now time.Duration) bool { return now < origin }

// Sleep waits for d and returns nil. If ctx ends first, it returns the context's cause at once.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var start = time.Now()

const origin = 1 << 62
