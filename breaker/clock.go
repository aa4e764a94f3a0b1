package breaker

import "time"

// clock is the time since an arbitrary fixed start, cheaper to read than a [time.Time] is. It
// is positive even in a synctest bubble, where the year is 2000.
func clock() time.Duration { return time.Since(start) + origin }

// inBubble reports whether now is the time of a synctest bubble, which lies before start.
func inBubble(now time.Duration) bool { return now < origin }

var start = time.Now()

const origin = 1 << 62
