package policyfile

// Policy is one policy of a file. The zero Policy is the zero [rebound.Policy].
type Policy struct {
	// Attempts is the largest number of attempts, including the first, or "unlimited". Default: 3.
	Attempts Attempts `json:"attempts,omitzero"`

	// Backoff is the delay after a failed attempt. Default: exponential, from 100ms, doubling up to
	// 30s, with full jitter.
	Backoff *Backoff `json:"backoff,omitempty"`

	// Throttled is the delay after a rate limited or overloaded failure. Default: 4 times the delay
	// of backoff.
	Throttled *Backoff `json:"throttled,omitempty"`

	// MaxElapsed bounds the whole call, delays included. Default: the caller's deadline alone.
	MaxElapsed Duration `json:"max_elapsed,omitzero"`

	// AttemptTimeout is the time that each attempt has. Default: no limit.
	AttemptTimeout Duration `json:"attempt_timeout,omitzero"`

	// MaxRetryAfter is the longest Retry-After delay that is obeyed. A longer one ends the call.
	// Default: 2m.
	MaxRetryAfter Duration `json:"max_retry_after,omitzero" zero:"2m"`

	// Retry lists the classes of failures that are retried. Default: every failure that is not known
	// to be permanent.
	Retry []Match `json:"retry,omitempty" zero:"every failure that is not permanent"`

	// NonIdempotent is for calls that must not happen twice: a call is retried only if the server
	// certainly did not act. Default: false.
	NonIdempotent bool `json:"non_idempotent,omitzero"`

	// Budget limits retries to a share of the calls that succeed. Default: capacity 10, deposit
	// 0.1, refill 0.1.
	Budget *Budget `json:"budget,omitempty"`

	// Breaker stops calls to a service that keeps failing. Default: none; {} is one that opens
	// after 5 failures in a row, for 60s.
	Breaker *Breaker `json:"breaker,omitempty"`

	// Gates lists the limits of the attempts, around the breaker, in the order in which an attempt
	// enters them. The usual order is rate, throttle, concurrency or adaptive. Default: none.
	Gates []Gate `json:"gates,omitempty"`
}

// Backoff is a strategy of package backoff. A field that does not belong to its kind must not be
// set.
type Backoff struct {
	// Kind is the strategy. Default: exponential.
	Kind Kind `json:"kind,omitzero"`

	// Base is the delay after the first attempt; for the kind constant, after every attempt.
	// Default: 100ms; for the kind constant, no delay. The kind steps does not have it.
	Base Duration `json:"base,omitzero" zero:"100ms,unless kind=constant"`

	// Factor is the factor from one delay to the next, 1 or more, for the kind exponential. Default:
	// 2.
	Factor float64 `json:"factor,omitzero" zero:"2"`

	// Step is the time added from one delay to the next, for the kind linear. Default: base.
	Step Duration `json:"step,omitzero" zero:"base"`

	// Min is the shortest delay, jitter included. Default: none.
	Min Duration `json:"min,omitzero"`

	// Max is the longest delay, jitter included. Default: 30s, or base if that is more.
	Max Duration `json:"max,omitzero" zero:"30s"`

	// Low is the smallest factor from one delay to the next, for the kind decorrelated. Without low
	// and high, a delay is drawn between base and 3 times the one before.
	Low float64 `json:"low,omitzero" zero:"a delay between base and 3 times the one before"`

	// High is the largest factor from one delay to the next, for the kind decorrelated.
	High float64 `json:"high,omitzero" zero:"a delay between base and 3 times the one before"`

	// Delays lists the delays of the kind steps, one after each attempt; the last one repeats.
	Delays []Duration `json:"delays,omitempty" zero:"none"`

	// Jitter spreads the delays of the kinds exponential, linear, fibonacci and steps. Default:
	// full.
	Jitter Jitter `json:"jitter,omitzero" zero:"full"`
}

// Budget is a retry budget: retries ≤ capacity + deposit × successes + refill × seconds.
type Budget struct {
	// Unlimited admits every retry. The other fields must then not be set. Default: false.
	Unlimited bool `json:"unlimited,omitzero"`

	// Capacity is the number of retries that a full budget holds, 1 or more. Default: 10.
	Capacity float64 `json:"capacity,omitzero" zero:"10"`

	// Deposit is the part of a retry that each success gives back. Default: 0.1.
	Deposit float64 `json:"deposit,omitzero" zero:"0.1"`

	// Refill is the part of a retry that is given back each second. Default: 0.1.
	Refill float64 `json:"refill,omitzero" zero:"0.1"`
}

// Breaker is a circuit breaker of package breaker.
type Breaker struct {
	// Name is the breaker's name in errors and snapshots. Default: the policy's name.
	Name string `json:"name,omitzero" zero:"the policy's name"`

	// Failures is the number of failures in a row that opens the breaker. Default: 5, or any number
	// if rate or slow_rate is set.
	Failures int `json:"failures,omitzero" zero:"5"`

	// Rate is the share of failures among the calls in window that opens the breaker, above 0 and at
	// most 1. Default: no share does.
	Rate float64 `json:"rate,omitzero"`

	// MinCalls is the number of calls in window before rate and slow_rate count. Default: 10.
	MinCalls int `json:"min_calls,omitzero" zero:"10"`

	// Window is the time that rate and slow_rate look back. Default: 10s.
	Window Duration `json:"window,omitzero" zero:"10s"`

	// WindowCalls makes the window that number of calls instead of a time. Default: a time.
	WindowCalls int `json:"window_calls,omitzero"`

	// SlowAfter is the time from which a call counts as slow. Default: no call is slow.
	SlowAfter Duration `json:"slow_after,omitzero"`

	// SlowRate is the share of slow calls in window that opens the breaker. Default: no share does.
	SlowRate float64 `json:"slow_rate,omitzero"`

	// Cooldown is how long the breaker stays open before it admits a probe. Default: 60s.
	Cooldown Duration `json:"cooldown,omitzero" zero:"60s"`

	// MaxCooldown is the longest cooldown: each is twice as long as the one before, until the breaker
	// closes. Default: all are the same.
	MaxCooldown Duration `json:"max_cooldown,omitzero"`

	// CooldownJitter lengthens each cooldown by a random share of it, up to this one. Default: 0.
	CooldownJitter float64 `json:"cooldown_jitter,omitzero"`

	// Probes is how many calls must succeed to close the breaker. With rate, it is how many calls
	// the rate is measured over. Default: 1.
	Probes int `json:"probes,omitzero" zero:"1"`

	// Shadow makes a breaker that rejects nothing, and only reports when it would. Default: false.
	Shadow bool `json:"shadow,omitzero"`

	// Counts lists the classes of failures that count. Default: transient, overloaded and unknown.
	Counts []Match `json:"counts,omitempty" zero:"transient, overloaded and unknown failures"`
}
