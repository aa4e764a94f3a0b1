package reboundredis

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

// A process whose breaker opens again and again cannot keep the others from the service: theirs are
// closed for three quarters of the time.
func TestFlappingProcess(t *testing.T) {
	for _, row := range []struct {
		cooldown, every time.Duration // of the process
		most            time.Duration // of an hour for which another breaker may be open
		first           time.Duration // for which it is open at first
	}{
		{30 * time.Second, 31 * time.Second, 17 * time.Minute, 30 * time.Second},
		{time.Hour, time.Second, 17 * time.Minute, time.Minute},
		{time.Second, 2 * time.Second, 17 * time.Minute, time.Second},
		{30 * time.Second, 20 * time.Minute, 2 * time.Minute, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &breaker.Breaker{}
			v := &Verdicts{Jitter: 1e-9, around: b}
			open, last := time.Duration(0), -row.every
			for at := time.Duration(0); at < time.Hour; at += time.Second {
				if at-last >= row.every {
					last = at
					v.obey(fmt.Sprint(mark, at), row.cooldown)
				}
				s := b.Snapshot()
				if left := s.Remaining - row.first; at == 0 && left.Abs() > time.Millisecond {
					t.Errorf("%+v: open for %v at first", row, s.Remaining)
				}
				if s.State == breaker.Open {
					open += min(s.Remaining, time.Second)
				}
				time.Sleep(time.Second)
				if b.State() == breaker.HalfOpen {
					b.Reset() // a probe has succeeded
				}
			}
			if open > row.most || open < row.first {
				t.Errorf("%+v: open for %v of an hour, want at most %v", row, open, row.most)
			}
		})
	}
}
