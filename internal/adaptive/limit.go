// Package adaptive is the bare form of an adaptive concurrency limit: the law that turns samples of
// attempts into a limit, without a clock or a lock. A limit.Adaptive keeps one [Limit] behind a
// mutex. The simulator keeps one for each of its processes, in virtual time.
//
// The law is Gradient2 of Netflix's concurrency-limits, or, with a target latency, AIMD. Both run
// once per window instead of once per attempt, and both react to an explicit overload.
package adaptive

import "time"

// Defaults of a Config's fields.
const (
	DefaultInitial = 20
	DefaultMin     = 1
	DefaultMax     = 1000
)

const (
	backoff    = 0.9 // factor of the limit after an overload
	tolerance  = 1.5 // growth of the latency that is not taken for a queue
	queue      = 4   // attempts that may wait at the server
	smoothing  = 0.2 // weight of a window's result in the limit
	leastDrop  = 0.5 // the lowest gradient
	longWindow = 600 // windows of the long-term latency
	warmup     = 10  // windows whose plain mean begins the long-term latency
	// recovery is the factor of a long-term latency that is more than twice the present one. It
	// applies in each window, so that the latency of a server that has become faster falls soon.
	recovery = 0.95

	// A window of a slow service is longer than a second, so it moves the limit further. These are
	// bounds of its weight in the limit, and of the growth, as a share of the limit.
	mostSmoothing = 0.5
	mostGrowth    = 0.25

	// If half of the limit leaves more than this share of the latency, no queue was the cause.
	useless = 0.75
)

// Config is what limits of one kind share. Each 0 means its default.
type Config struct {
	Initial int // brought between Min and Max
	Min     int
	Max     int
	Target  time.Duration // mean latency to keep by AIMD; 0 = Gradient2

	// SlowStart doubles the limit in each window, until an overload, or two slow windows in a row.
	SlowStart bool
}

// Bounds returns Min and Max with their defaults in place.
func (c *Config) Bounds() (low, high int) {
	return orDefault(c.Min, DefaultMin), orDefault(c.Max, DefaultMax)
}

// within is a limit brought between Min and Max.
func (c *Config) within(limit float64) float64 {
	low, high := c.Bounds()
	return min(max(limit, float64(low)), float64(high))
}

// Limit is the state of an adaptive limit. The zero Limit is at Config.Initial.
type Limit struct {
	Window Window
	limit  float64 // 0 = Initial
	long   float64 // the long-term latency, in ns
	warm   int     // windows in long, up to warmup
	found  bool    // SlowStart is over

	guessed bool // it is over because of two slow windows
	slow    bool // the previous window was slow

	// from is the limit when the latency exceeded what was normal, or when the limit was halved for
	// that; 0 = the latency is normal. took is the highest latency since then. Attempts that began
	// before the limit was halved end in the first window after that, so the next one is compared.
	from, took float64
	halved     bool
}

// Now returns the limit: how many attempts may be under way.
func (l *Limit) Now(c *Config) int { return int(l.value(c)) }

// Add adds a sample at now. It returns true if that completed a window; then the limit may have
// changed.
func (l *Limit) Add(c *Config, now time.Duration, s Sample) bool {
	w, complete := l.Window.Add(now, s)
	if complete {
		l.update(c, w)
	}
	return complete
}

// value is the limit with its fraction, which would otherwise be lost in each window.
func (l *Limit) value(c *Config) float64 {
	if l.limit > 0 {
		return l.limit
	}
	return c.within(float64(orDefault(c.Initial, DefaultInitial)))
}

// update is the law: it turns a window into a limit. Only a limit that was in use grows, because
// the latency of a few attempts does not show that the server can take many. A window whose latency
// makes it longer than a second counts for as many seconds.
func (l *Limit) update(c *Config, w Summary) {
	limit := l.value(c)
	used := 2*float64(w.Peak) > limit
	before := *l
	seconds := max(1, float64(settling*w.Latency.Seconds()))
	long := l.learn(w.Latency, seconds)
	if c.Target == 0 && l.mistaken(limit, w) {
		l.limit, l.from = c.within(l.from), 0
		return
	}
	next := limit
	switch {
	case c.SlowStart && !l.found:
		next = l.slowStart(c, w, used, before)
	case w.Overloaded:
		next *= backoff
	case !used || w.Latency == 0:
	case c.Target > 0 && w.Latency > c.Target:
		next *= backoff
	case c.Target > 0:
		next += growth(limit, 1, seconds)
	default:
		next = gradient2(limit, long, float64(w.Latency), seconds)
	}
	// With long timeouts, the attempts of an overload are dropped long after it was seen.
	if w.Recovering {
		next = min(next, limit)
	}
	l.limit = c.within(next)
}

// slowStart doubles the limit, or takes back the last doubling and ends. A limit that is not in use
// stays, and so does one in a single slow window, which may have many causes. Ending too early
// would be costly: after the slow start, growing takes minutes.
//
// before is the limit before it learned this window's latency. A slow window is not learned: the
// long-term latency would rise with it, and the slow start would end at four times the right limit.
func (l *Limit) slowStart(c *Config, w Summary, used bool, before Limit) float64 {
	limit, normal := l.value(c), float64(c.Target)
	if c.Target == 0 {
		normal = tolerance * before.long
	}
	if l.slow = used && normal > 0 && float64(w.Latency) > normal; l.slow {
		l.long, l.warm = before.long, before.warm
	}
	switch {
	case w.Overloaded, l.slow && before.slow:
		l.found, l.guessed = true, !w.Overloaded
		return limit / 2
	case l.slow:
		return limit
	case used && w.Latency > 0:
		return limit * 2
	}
	return limit
}

// mistaken reports whether the limit was lowered for nothing: it was halved because the latency had
// grown, and the latency stayed. Of a queue at the server, half would be gone. So the server itself
// is slower. Its latency becomes the long-term one, and a slow start that had ended goes on.
func (l *Limit) mistaken(limit float64, w Summary) bool {
	latency := float64(w.Latency)
	slow := latency > tolerance*l.long
	switch {
	case w.Recovering:
		l.from, l.halved = 0, false
	case l.from == 0 && slow:
		l.from, l.took = limit, latency
	case !slow && limit >= l.from: // also if from is 0
		l.from, l.halved = 0, false
	case !l.halved:
		l.took = max(l.took, latency) // the queue may still grow
		l.halved = limit <= l.from/2
	case latency > useless*l.took:
		l.long, l.halved = latency, false
		l.found = l.found && !l.guessed
		return true
	default:
		l.from, l.took, l.halved = limit, latency, false
	}
	return false
}

// learn adds a window's latency to the long-term one and returns that. When the server has become
// faster, the old latency is forgotten sooner. Otherwise the limit would grow without bound.
func (l *Limit) learn(latency time.Duration, seconds float64) float64 {
	if latency == 0 {
		return l.long
	}
	now, weight := float64(latency), min(float64(seconds*2/(longWindow+1)), 1.0/warmup)
	if l.warm < warmup {
		l.warm++
		weight = 1 / float64(l.warm)
	}
	l.long += float64((now - l.long) * weight)
	if l.long > 2*now {
		l.long *= recovery
	}
	return l.long
}

// gradient2 moves a limit toward limit·gradient + queue. The gradient is the long-term latency,
// with a tolerance, divided by the present one.
//
// The long-term latency follows the present one within minutes, so that a server that has become
// permanently slower is used fully. The price: a queue that lasts for minutes counts as normal and
// grows, until drops end that growth.
//
// The conversions keep platforms from fusing products and sums, so that a simulation has the same
// result everywhere.
func gradient2(limit, long, latency, seconds float64) float64 {
	gradient := max(leastDrop, min(1, tolerance*long/latency))
	weight := min(float64(smoothing*seconds), mostSmoothing)
	return float64(limit*(1-weight)) + float64(limit*gradient*weight) +
		growth(limit, smoothing*queue, seconds)
}

// growth is what a limit gains in that many seconds, by step each second. A low limit gains at
// least a step.
func growth(limit, step, seconds float64) float64 {
	return min(float64(step*seconds), max(step, float64(limit*mostGrowth)))
}

// orDefault also replaces invalid values.
func orDefault(v, unset int) int {
	if v > 0 {
		return v
	}
	return unset
}
