package llm

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// NewPolicy returns a policy for calls to language models. It makes up to 5 attempts. After a
// broken connection or a server failure the delays are about 500ms → 1s → 2s → 4s. After a limit or
// an overload they are about 4s → 8s → 16s → 32s, or longer if the server asks for more. Jitter
// makes each delay half to one and a half times as long.
//
// [Classify] is the classifier. Retry-After delays of up to 2 minutes are obeyed. Longer ones
// belong to quotas that last for hours or days, and end the call at once.
//
// The policy does not bound the time of an attempt, because a long answer, or long reasoning, takes
// minutes. [Transport] bounds the time to a response's header, and the pauses in its body. Use a
// context with a deadline, or MaxElapsed, to bound the whole call.
//
// Each call of NewPolicy returns a new policy, which may be changed before its first use. Keep the
// policy and share it, because it holds its retry budget.
func NewPolicy() *rebound.Policy {
	return &rebound.Policy{
		Name:      "llm",
		Attempts:  5,
		Backoff:   doubling(500*time.Millisecond, 8*time.Second),
		Throttled: doubling(4*time.Second, time.Minute),
		Classify:  Classify,
	}
}

// doubling has jitter to both sides, and not full jitter. After a delay near zero, the cause has
// not passed, and the retry would pay for another prompt.
func doubling(base, longest time.Duration) backoff.Backoff {
	return backoff.Exponential{
		Base: base, Factor: 2, Max: longest, Jitter: backoff.Proportional(0.5),
	}
}

// shared is the policy of streams and chains without their own.
var shared = NewPolicy()
