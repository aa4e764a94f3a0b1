package stats_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/stats"
)

func Example() {
	var rec stats.Recorder
	policy := &rebound.Policy{
		Name: "ocr", Attempts: 4, Backoff: backoff.Constant(0), Observe: rec.Observe,
	}

	// In this batch, the seventh receipt cannot be read, and every third needs a second attempt.
	for i := range 9 {
		tries := 0
		rebound.Run(context.Background(), policy, func(context.Context) error {
			tries++
			switch {
			case i == 7:
				return rebound.Permanent(errors.New("not a receipt"))
			case i%3 == 0 && tries == 1:
				return errors.New("connection reset")
			}
			return nil
		})
	}

	total := rec.Snapshot().Total
	fmt.Println(total.Calls, "calls,", total.Retries, "retries")
	for _, row := range total.Distribution {
		fmt.Printf("%d of the calls took %d attempts (%.1f%%)\n", row.Calls, row.Attempts, row.Percent)
	}
	// Output:
	// 9 calls, 3 retries
	// 6 of the calls took 1 attempts (66.7%)
	// 3 of the calls took 2 attempts (33.3%)
}

func ExampleRecorder_WriteReport() {
	rec := batch() // some calls, recorded
	rec.WriteReport(os.Stdout)
	// Output:
	// calls        1282
	//   succeeded  1266  98.8%
	//   failed       16   1.2%  8 rejected by the breaker
	// fallbacks       8         8 answered, 0 failed
	// attempts     1702         1.33 per call, 1.34 per attempted call, 428 retries
	// delays        418         6m4s in all, 871ms each
	// time                      522ms per call, 3m0s at most
	//
	// attempts per call
	//   0       8   0.6%
	//   1    1132  88.3%
	//   2      27   2.1%
	//   3      33   2.6%
	//   4      27   2.1%
	//   5      27   2.1%
	//   6      27   2.1%
	//   10+     1   0.1%
	//
	// stopped because
	//   rejected by the breaker  8  50.0%
	//   exhausted                7  43.8%
	//   not retryable            1   6.2%
	//
	// failed attempts by kind
	//   transient     403  94.6%
	//   rate limited   14   3.3%
	//   overloaded      7   1.7%
	//   permanent       1   0.2%
	//   unknown         1   0.2%
	//
	// by policy    calls  succeeded  failed  attempts  per call  delayed
	//   (unnamed)      2      50.0%       1        13      6.50       1s
	//   ocr         1200     100.0%       0      1603      1.34     5m7s
	//   vision        80      81.3%      15        86      1.07      56s
}
