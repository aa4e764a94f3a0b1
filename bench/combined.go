package bench

import (
	"context"

	"github.com/cenkalti/backoff/v7"
	"github.com/sethvargo/go-retry"
)

// mixedEntries combine several libraries, as programs do.
var mixedEntries = []Entry{
	{"stack", "avast+sony", Peer, "context.WithTimeout; retrier without the call's context",
		func() Op {
			r, b := avastRetrier(), newSony()
			return func(ctx context.Context, id int) (int, error) {
				return r.Do(func() (int, error) { return sonyTimed(ctx, b, id) })
			}
		}, nil, nil},
	{"stack", "cenkalti+sony", Peer, "context.WithTimeout", func() Op {
		b, tries := newSony(), backoff.WithMaxTries(3)
		return func(ctx context.Context, id int) (int, error) {
			return backoff.Retry(ctx, func() (int, error) { return sonyTimed(ctx, b, id) }, tries)
		}
	}, nil, nil},
	{"stack", "sethvargo+sony", Peer, "context.WithTimeout; backoff built per call", func() Op {
		b := newSony()
		return func(ctx context.Context, id int) (int, error) {
			return retry.DoValue(ctx, retry.WithMaxRetries(2, newSethvargo()),
				func(ctx context.Context) (int, error) { return sonyTimed(ctx, b, id) })
		}
	}, nil, nil},
}
