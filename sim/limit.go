package sim

import (
	"math/bits"
	"time"
)

// Limit is a rate limit in front of a server: a number of attempts, and a number of tokens, in a
// period. An attempt above the limit is answered at once with status 429 and, unless NoRetryAfter
// is set, with the time until there is room. The zero Limit admits everything.
type Limit struct {
	// Requests is the number of attempts admitted in each Per. 0 = any number.
	Requests int

	// Tokens is the number of tokens that the attempts in each Per may use together. 0 = any number.
	Tokens int

	// Cost is the mean number of tokens of an attempt. 0 = 1.
	Cost int

	// CostSpread spreads the tokens of calls evenly between Cost − CostSpread and Cost + CostSpread.
	// The attempts of one call use the same number.
	CostSpread int

	// Per is the period of Requests and Tokens. 0 = 1 s.
	Per time.Duration

	// Bucket refills both evenly, like a token bucket that holds the Requests or Tokens of one Per.
	// False = fixed windows: everything is available again at Per, 2·Per, and so on.
	Bucket bool

	// CountRefused makes rejected attempts use up the limit as well. They put a bucket into debt, by
	// at most the Requests or Tokens of one Per.
	CountRefused bool

	// NoRetryAfter makes the server send no Retry-After. Otherwise its answers with status 429 state
	// the time until there is room.
	NoRetryAfter bool

	// Headers makes answers state how much is left and the time until everything is available again,
	// as the RateLimit headers of many APIs do. A limit.Rate among the Gates of a policy learns from
	// them.
	Headers bool

	// Round rounds the Retry-After delay up to a multiple of this: 1 s for servers that send whole
	// seconds. 0 = exact.
	Round time.Duration
}

// quota is what an answer states about the limit, at the moment when the attempt arrived. Many APIs
// state it in the headers RateLimit-Remaining and RateLimit-Reset.
type quota struct {
	requests int64         // that are left; -1 = any number
	tokens   int64         // that are left; -1 = any number
	reset    time.Duration // until everything is available again
}

// limiter is the state of a Limit.
type limiter struct {
	Limit
	requests, tokens meter
}

// newLimiter makes a meter for attempts and a meter for tokens. An attempt needs room in both.
func newLimiter(l Limit) limiter {
	return limiter{l, newMeter(l, l.Requests), newMeter(l, l.Tokens)}
}

// on reports whether there is a limit.
func (l *Limit) on() bool { return l.Requests > 0 || l.Tokens > 0 }

// admit admits an attempt of that many tokens, or returns its Retry-After delay.
func (l *limiter) admit(now time.Duration, tokens int64) (after time.Duration, ok bool) {
	after = l.wait(now, tokens)
	ok = after == 0
	if ok || l.CountRefused {
		l.requests.take(now, 1)
		l.tokens.take(now, tokens)
	}
	switch {
	// Only a refusal has a delay.
	case ok, l.NoRetryAfter:
		return 0, ok
	case l.CountRefused:
		after = l.wait(now, tokens) // longer by this refusal
	}
	if l.Round > 0 {
		after = (after + l.Round - 1) / l.Round * l.Round
	}
	return after, ok
}

// wait is the time until an attempt of that many tokens has room, or 0.
func (l *limiter) wait(now time.Duration, tokens int64) time.Duration {
	return max(l.requests.wait(now, 1), l.tokens.wait(now, tokens))
}

// quota is what is left at now.
func (l *limiter) quota(now time.Duration) quota {
	return quota{
		requests: l.requests.left(now), tokens: l.tokens.left(now),
		reset: max(l.requests.reset(now), l.tokens.reset(now)),
	}
}

// cost draws the tokens of a call.
func (l *Limit) cost(r *random) int64 {
	switch {
	case l.Tokens == 0:
		return 0
	case l.CostSpread == 0:
		return int64(l.Cost)
	}
	return int64(l.Cost - l.CostSpread + r.below(2*l.CostSpread+1))
}

// meter counts attempts or tokens. A bucket is the time at which it is full again: it is full if
// that time is past, and empty if that time is one per ahead (GCRA). Whole nanoseconds give the
// same result on every platform.
type meter struct {
	most   int64 // in each per; 0 = any number
	per    time.Duration
	bucket bool
	paid   time.Duration // of a bucket: when it is full again
	window time.Duration // of fixed windows: the number of the one under way,
	taken  int64         // and what was taken in it
}

func newMeter(l Limit, most int) meter {
	return meter{most: int64(most), per: l.Per, bucket: l.Bucket}
}

// wait is the time until n more have room, or 0.
func (m *meter) wait(now time.Duration, n int64) time.Duration {
	switch {
	case m.most == 0:
		return 0
	case m.bucket:
		return max(m.debt(now)+m.price(n)-m.per, 0)
	case m.used(now)+n <= m.most:
		return 0
	}
	return m.reset(now)
}

// take counts n, whether they have room or not.
func (m *meter) take(now time.Duration, n int64) {
	switch {
	case m.most == 0:
	// A debt of more than one per would last for ever if clients never stop.
	case m.bucket:
		m.paid = now + min(m.debt(now)+m.price(n), 2*m.per)
	default:
		m.taken, m.window = m.used(now)+n, now/m.per
	}
}

// left is how many have room, or -1 for any number.
func (m *meter) left(now time.Duration) int64 {
	switch {
	case m.most == 0:
		return -1
	case !m.bucket:
		return max(m.most-m.used(now), 0)
	}
	return scale(max(m.per-m.debt(now), 0), m.most, m.per)
}

// reset is the time until all have room.
func (m *meter) reset(now time.Duration) time.Duration {
	switch {
	case m.most == 0:
		return 0
	case m.bucket:
		return m.debt(now)
	}
	return (now/m.per+1)*m.per - now
}

// debt is the time that a bucket needs to be full again.
func (m *meter) debt(now time.Duration) time.Duration { return max(m.paid-now, 0) }

// price is the time in which a bucket gets n.
func (m *meter) price(n int64) time.Duration {
	return time.Duration(scale(time.Duration(n), int64(m.per), time.Duration(m.most)))
}

// used is what was taken in the window of now.
func (m *meter) used(now time.Duration) int64 {
	if now/m.per != m.window {
		return 0
	}
	return m.taken
}

// scale is x·y/z, for numbers that are not negative, x being at most z. The product may need 128
// bits.
func scale(x time.Duration, y int64, z time.Duration) int64 {
	hi, lo := bits.Mul64(uint64(x), uint64(y))
	q, _ := bits.Div64(hi, lo, uint64(z))
	return int64(q)
}
