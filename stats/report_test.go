package stats_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/stats"
)

var update = flag.Bool("update", false, "write what the tests print to testdata")

// batch is a batch of receipts, read by two services and filed by a policy without a name.
func batch() *stats.Recorder {
	var r stats.Recorder
	for i := range 1200 {
		n := 1
		if i%9 == 0 {
			n = 2 + i%5
		}
		for k := 1; k < n; k++ {
			r.Observe(context.Background(), retrying("ocr", k, fault.Transient, 100*time.Millisecond<<k))
		}
		r.Observe(context.Background(), succeeded("ocr", n, time.Duration(n*n)*123456*time.Microsecond))
	}
	for i := range 80 {
		switch {
		case i%10 == 0:
			r.Observe(context.Background(), rejected("vision", 0, "vision"))
			r.Observe(context.Background(), fellBack("vision", nil))
		case i%11 == 0:
			r.Observe(context.Background(), retrying("vision", 1, fault.RateLimited, 2*time.Second))
			r.Observe(context.Background(), retrying("vision", 2, fault.Overloaded, 6*time.Second))
			r.Observe(context.Background(), gaveUp("vision", 3, fault.RateLimited, rebound.Exhausted))
		default:
			r.Observe(context.Background(), succeeded("vision", 1, 900*time.Millisecond))
		}
	}
	r.Observe(context.Background(), retrying("", 1, fault.Unknown, time.Second))
	r.Observe(context.Background(), succeeded("", 12, 3*time.Minute))
	r.Observe(context.Background(), gaveUp("", 1, fault.Permanent, rebound.NotRetryable))
	return &r
}

func TestWriteReport(t *testing.T) {
	for _, test := range []struct {
		name string
		rec  *stats.Recorder
	}{
		{"batch", batch()},
		{"nothing", new(stats.Recorder)},
		{"at-once", observe(succeeded("ocr", 1, 1500*time.Microsecond), succeeded("ocr", 1, 0))},
		{"under-way", observe(retrying("ocr", 1, fault.Transient, time.Second))},
		{"refused", observe(gaveUp("ocr", 0, 0, rebound.Rejected))},
		{"mixed", observe(
			gaveUp("ocr", 0, 0, rebound.Rejected), rejected("ocr", 0, "a"),
			rejected("ocr", 0, "b"), rejected("ocr", 2, "a"), fellBack("ocr", errTest),
			gaveUp("ocr", 0, 0, rebound.Canceled), succeeded("ocr", 2, 0),
		)},
		{"rejected-late", observe(
			rejected("ocr", 2, "a"), gaveUp("ocr", 0, 0, rebound.Canceled),
		)},
		{"names", observe(
			succeeded("evil\x1b[31mred\nline", 1, 0), succeeded("a\u202eb", 1, 0),
			succeeded("領収書", 1, 0), succeeded("ocr", 1, 0),
		)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got bytes.Buffer
			if err := test.rec.WriteReport(&got); err != nil {
				t.Fatal(err)
			}
			path := "testdata/" + test.name + ".txt"
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || got.String() != string(want) {
				t.Errorf("report (%v):\n%swant\n%s", err, got.String(), want)
			}
		})
	}
}

type broken struct{}

var errBroken = errors.New("disk full")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteReportFails(t *testing.T) {
	if err := batch().WriteReport(broken{}); err != errBroken {
		t.Errorf("error = %v, want %v", err, errBroken)
	}
}
