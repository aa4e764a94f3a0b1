package bench

import (
	"context"

	"github.com/cenkalti/backoff/v7"
)

var cenkaltiEntries = []Entry{
	{"retry_ok", "cenkalti", Peer, "options kept, the default backoff built per call", cenkaltiOK,
		nil, nil},
	{"retry_2fail", "cenkalti", Peer, "ZeroBackOff", cenkaltiFlaky, nil, nil},
	{"delay", "cenkalti", Peer, "not for concurrent use", cenkaltiDelay, nil, nil},
}

func cenkaltiOK() Op {
	tries := backoff.WithMaxTries(3)
	return func(ctx context.Context, id int) (int, error) {
		return backoff.Retry(ctx, func() (int, error) { return work(ctx, id) }, tries)
	}
}

func cenkaltiFlaky() Op {
	tries, zero := backoff.WithMaxTries(3), backoff.WithBackOff(&backoff.ZeroBackOff{})
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return backoff.Retry(ctx, func() (int, error) { return flaky(ctx, &n, id) }, tries, zero)
	}
}

func cenkaltiDelay() Op {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = baseDelay, maxDelay, 2
	return func(_ context.Context, id int) (int, error) {
		if id&7 == 0 {
			b.Reset()
		}
		return int(b.NextBackOff()), nil
	}
}
