package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// While a breaker is open, the rows of this process wait, but not longer than it runs.
func TestRest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rests []time.Duration
		stop  time.Duration // the end of feeding
		want  time.Duration
		ok    bool
	}{
		{"none", nil, time.Hour, 0, true},
		{"none after a row that was sent", []time.Duration{0}, time.Hour, 0, true},
		{"cooldown", []time.Duration{5 * time.Second, 0}, time.Hour, 5 * time.Second, true},
		{"the longest counts", []time.Duration{5 * time.Second, 3 * time.Second}, time.Hour,
			5 * time.Second, true},
		{"stop", []time.Duration{5 * time.Second}, time.Second, time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &session{first: make(chan struct{})}
			close(s.first)
			var cancel func()
			s.feeding, cancel = context.WithTimeout(t.Context(), tt.stop)
			defer cancel()
			for _, d := range tt.rests {
				s.rest.Extend(d)
			}
			began := time.Now()
			ok := s.begin(t.Context())
			if took := time.Since(began); ok != tt.ok || took != tt.want {
				t.Errorf("%s: %v after %v, want %v after %v", tt.name, ok, took, tt.ok, tt.want)
			}
		})
	}
}
