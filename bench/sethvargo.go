package bench

import (
	"context"
	"time"

	"github.com/sethvargo/go-retry"
)

var sethvargoEntries = []Entry{
	{"retry_ok", "sethvargo", Peer, "a backoff has state: built per call", sethvargoOK, nil, nil},
	{"retry_2fail", "sethvargo", Peer, "1 ns (0 panics); errors wrapped by the caller",
		sethvargoFlaky, nil, nil},
	{"delay", "sethvargo", Peer, "no reset: built every 8th delay", sethvargoDelay, nil, nil},
}

func newSethvargo() retry.Backoff {
	return retry.WithCappedDuration(maxDelay,
		retry.WithJitterPercent(50, retry.NewExponential(baseDelay)))
}

func sethvargoOK() Op {
	return func(ctx context.Context, id int) (int, error) {
		return retry.DoValue(ctx, retry.WithMaxRetries(2, newSethvargo()),
			func(ctx context.Context) (int, error) { return work(ctx, id) })
	}
}

func sethvargoFlaky() Op {
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return retry.DoValue(ctx, retry.WithMaxRetries(2, retry.NewConstant(time.Nanosecond)),
			func(ctx context.Context) (int, error) {
				v, err := flaky(ctx, &n, id)
				return v, retry.RetryableError(err)
			})
	}
}

func sethvargoDelay() Op {
	b := newSethvargo()
	return func(_ context.Context, id int) (int, error) {
		if id&7 == 0 {
			b = newSethvargo()
		}
		d, _ := b.Next()
		return int(d), nil
	}
}
