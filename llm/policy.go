package llm

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// NewPolicy returns a policy for calls to language models: 5 attempts, about 500ms → 1s → 2s → 4s
// apart after a connection that broke or a server that failed, and about 4s → 8s → 16s → 32s apart
// after a limit or an overload, unless the server asks for more. Each delay is drawn from half of
// that to half as much again.
//
// [Classify] is the classifier. A Retry-After delay is obeyed up to 2 minutes. Longer ones are
// quotas, which last for hours and days, and are an error at once.
//
// The policy does not limit the time of an attempt: an answer that is long, or that a model reasons
// about, takes minutes. [Transport] limits the time to a response's header, and pauses of its body.
// Use a context with a deadline, or MaxElapsed, for the whole call.
//
// The policy is a fresh one, which may be changed before its first use. Keep it and share it: its
// retry budget lives in it.
func NewPolicy() *rebound.Policy {
	return &rebound.Policy{
		Name:      "llm",
		Attempts:  5,
		Backoff:   doubling(500*time.Millisecond, 8*time.Second),
		Throttled: doubling(4*time.Second, time.Minute),
		Classify:  Classify,
	}
}

func doubling(base, longest time.Duration) backoff.Backoff {
	return backoff.Exponential{
		Base: base, Factor: 2, Max: longest, Jitter: backoff.Proportional(0.5),
	}
}

// shared is the policy of streams and chains that are given none.
var shared = NewPolicy()
