package breaker

import "time"

// clock is the time since an arbitrary fixed start, cheaper to read than a [time.Time] is. It
// is positive even in a synctest bubble, where the year is 2000.
func clock() time.Duration { return time.Since(start) + 1<<62 }

var start = time.Now()
