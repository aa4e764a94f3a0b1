package reboundredis

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/limit"
)

const (
	defaultPer     = time.Second
	defaultTimeout = 50 * time.Millisecond
	defaultBurst   = 1

	// maxRate is one token in each microsecond, the script's unit of time.
	maxRate = 1e6
	// maxSpan, 10 years, bounds every wait and cost. The script's numbers are floats, and stay exact
	// within this bound.
	maxSpan = 10 * 365 * 24 * time.Hour

	handshake = 5 * time.Second // bounds the making of a connection, for which no attempt waits

	lookAgain = time.Second // cooldown of the breaker around Redis
	lookSoon  = 0.1         // the jitter of lookAgain
)

// Validate returns an error that names the first invalid field and its valid values, or nil. A
// go-redis Client must have MaxRetries -1, because a retry may book a second turn. It must have
// ContextTimeoutEnabled, because Timeout has no effect without it. The options of other Clients are
// not checked.
func (r *Rate) Validate() error {
	if err := checkClient(r.Client); err != nil {
		return fmt.Errorf("%s: Client %w", r.title(), err)
	}
	perSecond := r.N / r.per().Seconds()
	switch {
	case r.Key == "":
		return r.wrong("Key", `""`, "a name")
	case !(r.N > 0 && finite(r.N)):
		return r.wrong("N", r.N, "more than 0")
	case r.Per < 0:
		return r.wrong("Per", r.Per, "more than 0, or 0 for 1s")
	case perSecond > maxRate:
		return r.wrong("N", r.N, "at most 1000000 per second")
	case r.gap() > float64(maxSpan):
		return r.wrong("N", r.N, "at least one token in 10 years")
	case r.Burst < 0 || float64(r.Burst)*r.gap() > float64(maxSpan):
		return r.wrong("Burst", r.Burst, "1 or more that fill in 10 years, or 0 for 1")
	case r.Wait < 0 || r.Wait > maxSpan:
		return r.wrong("Wait", r.Wait, "0 (no wait) to 10 years")
	case r.Timeout < 0:
		return r.wrong("Timeout", r.Timeout, "more than 0, or 0 for 50ms")
	}
	return r.validFallback()
}

// validFallback is the part of Validate for the fields that decide while Redis is unavailable.
func (r *Rate) validFallback() error {
	switch {
	case r.FailClosed && r.Local != nil:
		return r.wrong("FailClosed", r.FailClosed, "false, or a nil Local")
	case !r.FailClosed && r.Local == nil:
		return r.wrong("Local", "missing", "this process's share of the limit, or FailClosed")
	case r.Local != nil && !(r.Local.N > 0):
		return r.wrong("Local.N", r.Local.N, "this process's share of N")
	}
	if r.Local != nil {
		if err := r.Local.Validate(); err != nil {
			return fmt.Errorf("%s: Local: %w", r.title(), err)
		}
	}
	if r.Breaker != nil {
		if err := r.Breaker.Validate(); err != nil {
			return fmt.Errorf("%s: Breaker: %w", r.title(), err)
		}
	}
	return nil
}

func (r *Rate) wrong(field string, got any, want string) error {
	return fmt.Errorf("%s: %s is %v: want %s", r.title(), field, got, want)
}

func (r *Rate) title() string { return "reboundredis.Rate " + r.name() }

// ready returns the error of Validate. It calls Validate only once.
func (r *Rate) ready() error {
	r.once.Do(func() {
		// One failure opens it, because each further attempt would wait for Timeout.
		r.own = breaker.Breaker{
			Name: r.name() + " in redis", Failures: 1, Cooldown: lookAgain, CooldownJitter: lookSoon,
		}
		r.invalid = r.Validate()
		r.leasing = make(chan struct{}, 1)
		detail := fmt.Sprintf("%v per %v, shared", r.N, r.per())
		r.full = limit.RateError(r.name(), detail, r.room)
		r.gone = &Error{Name: "rate " + r.name(), Err: ErrUnavailable, after: r.redisAfter}
	})
	return r.invalid
}

// redis returns the breaker around Redis.
func (r *Rate) redis() *breaker.Breaker {
	if r.Breaker != nil {
		return r.Breaker
	}
	return &r.own
}

// redisAfter returns the time until an attempt uses Redis again.
func (r *Rate) redisAfter() time.Duration { return r.redis().Snapshot().Remaining }

// name returns the limit's name in errors and snapshots.
func (r *Rate) name() string {
	if r.Name != "" {
		return r.Name
	}
	return printable(r.Key)
}

func (r *Rate) per() time.Duration {
	if r.Per == 0 {
		return defaultPer
	}
	return r.Per
}

func (r *Rate) burst() float64 { return float64(max(r.Burst, defaultBurst)) }

// gap returns the time from one token to the next, in ns.
func (r *Rate) gap() float64 { return float64(r.per()) / r.N }

func (r *Rate) store() store { return store{r.Client, r.Key} }

func (r *Rate) booking(n float64) booking {
	return booking{
		n: n, cost: micros(n*r.gap(), rand.Float64()), depth: micros(r.burst()*r.gap(), .5),
		token:  time.Duration(r.gap()),
		leases: n == 1 && r.N/r.per().Seconds() > leaseRate,
	}
}

// micros rounds a time in ns to whole µs. With a random u in [0, 1), the mean of the results is
// exact.
func micros(ns, u float64) time.Duration {
	us := min(ns, float64(maxSpan)) / float64(time.Microsecond)
	return time.Duration(us+u) * time.Microsecond
}

// timeout returns how long an attempt may wait for Redis. It leaves time for the fallback.
func (r *Rate) timeout(ctx context.Context) time.Duration {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)/2)
	}
	return timeout
}

// least returns the time that Redis must have had before a missing answer counts as a failure.
func (r *Rate) least() time.Duration { return r.timeout(context.Background()) / 5 }

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
