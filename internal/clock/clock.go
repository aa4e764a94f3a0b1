// Package clock reads the time as one number, which is cheaper than a [time.Time] and fits in an
// atomic word.
package clock

import "time"

// Now is the monotonic time since an arbitrary fixed start. It is positive even in a synctest
// bubble, where the year is 2000, so that a word of 0 is always in the past.
func Now() time.Duration { return time.Since(start) + origin }

// InBubble reports whether now is the time of a synctest bubble, which lies before start.
func InBubble(now time.Duration) bool { return now < origin }

var start = time.Now()

const origin = 1 << 62
