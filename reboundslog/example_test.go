package reboundslog_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/reboundslog"
)

func Example() {
	log := reboundslog.Logger{To: slog.New(slog.NewTextHandler(os.Stdout, timeless))}
	policy := &rebound.Policy{
		Name:    "ocr",
		Backoff: backoff.Constant(time.Millisecond),
		Observe: log.Observe,
		Breaker: &breaker.Breaker{Name: "ocr", Failures: 3, OnChange: log.OnChange},
	}
	rebound.Run(context.Background(), policy, func(context.Context) error {
		return errors.New("no answer")
	})
	// Output:
	// msg="rebound: retrying" policy=ocr attempt=1 kind=unknown delay=1ms error="no answer"
	// msg="rebound: retrying" policy=ocr attempt=2 kind=unknown delay=1ms error="no answer"
	// msg="rebound: breaker changed" breaker=ocr from=closed to=open why="failures in a row"
	// msg="rebound: gave up" policy=ocr attempt=3 kind=unknown reason=exhausted error="no answer"
}

func ExampleLogger_Level() {
	log := reboundslog.Logger{
		To: slog.New(slog.NewTextHandler(os.Stdout, timeless)),
		Level: func(e rebound.Event) slog.Level {
			if e.Kind == rebound.Retrying {
				return slog.LevelDebug // which the handler leaves out
			}
			return reboundslog.Level(e)
		},
	}
	policy := &rebound.Policy{Name: "ocr", Observe: log.Observe, Backoff: backoff.Constant(0)}
	tries := 0
	rebound.Run(context.Background(), policy, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("no answer")
		}
		return rebound.Permanent(errors.New("blank"))
	})
	// Output:
	// msg="rebound: gave up" policy=ocr attempt=3 kind=permanent reason=not_retryable error=blank
}
