package main

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

func TestBatchLine(t *testing.T) {
	p := batch.Progress{Rows: 300, Ended: 100, Failed: 2, InFlight: 64, Deferred: 5, PerSecond: 12.34}
	const counts = "100 of 300  2 failed  64 in flight  5 put off  12.3/s"
	for _, tt := range []struct {
		change func()
		want   string
	}{
		{func() {}, counts},
		{func() { p.Left = 16200 * time.Millisecond }, counts + "  about 16s left"},
		{func() { p.Spent = 1.5 }, counts + "  $1.50  about 16s left"},
		{func() { p.Away = 90*time.Second + 1 },
			counts + "  $1.50  the service has been away for 1m30s"},
		{func() { p.Away, p.Spent, p.Rows = 0, 0, 100 },
			"100 of 100  2 failed  64 in flight  5 put off  12.3/s"},
	} {
		if tt.change(); batchLine(p) != tt.want {
			t.Errorf("got  %q\nwant %q", batchLine(p), tt.want)
		}
	}
}
