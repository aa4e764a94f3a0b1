package reboundriver_test

import (
	"context"
	"testing"

	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundriver"
)

// BenchmarkSuccess measures what Middleware adds to a job that succeeds.
func BenchmarkSuccess(b *testing.B) {
	job := &rivertype.JobRow{Attempt: 1, MaxAttempts: 3}
	done := func(context.Context) error { return nil }
	m := &reboundriver.Middleware{Policy: &rebound.Policy{}}
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			_ = done(context.Background())
		}
	})
	b.Run("middleware", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = m.Work(context.Background(), job, done)
		}
	})
}
