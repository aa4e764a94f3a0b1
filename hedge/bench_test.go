package hedge

import (
	"context"
	"testing"
	"time"
)

// BenchmarkDo is a call whose first attempt answers at once.
func BenchmarkDo(b *testing.B) {
	for name, h := range map[string]*Hedge{
		"fixed": {After: time.Minute}, "measured": {Percentile: .99}, "young": {Percentile: 1e-300},
	} {
		b.Run(name, func(b *testing.B) {
			if name == "measured" {
				for range 1000 {
					h.success(time.Minute, false)
				}
			}
			b.ReportAllocs()
			ctx := context.Background()
			for b.Loop() {
				if _, err := Do(ctx, h, func(context.Context) (int, error) { return 1, nil }, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
