package batch

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// After one signal, the rows under way end, and waiting rows are not sent. A second signal cuts
// them.
func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		name             string
		signals          []Signal
		want             int
		done, doubt, sum int
	}{
		{"one", []Signal{{"interrupt", 2}}, 130, 4, 0, 4},
		{"two", []Signal{{"terminated", 15}, {"terminated", 15}}, 143, 0, 4, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var under atomic.Int64
			begun, release := make(chan struct{}), make(chan struct{})
			b := newBench(t, func(w http.ResponseWriter, req *http.Request, _ string, _ int) {
				if under.Add(1) == 4 {
					close(begun)
				}
				select {
				case <-release:
				case <-req.Context().Done():
				}
				ok(w)
			})
			b.o.MaxInFlight = 4
			b.rows(100, generation, "")
			signals := make(chan Signal)
			b.o.Signals = signals
			go func() {
				<-begun
				for _, s := range tt.signals {
					signals <- s
				}
				if len(tt.signals) == 1 {
					close(release)
				}
			}()
			counts(t, b.run(tt.want), tt.done, 0, 100-tt.sum, tt.doubt)
			if b.total() != 4 {
				t.Errorf("%d calls, want 4", b.total())
			}
			b.o.DryRun, b.o.Signals = true, nil
			counts(t, b.run(exitAll), tt.done, 0, 100-tt.sum, tt.doubt)
		})
	}
}

// Rows that wait for a limit do not hold up the end.
func TestSignalWhileRowsWaitForALimit(t *testing.T) {
	signals := make(chan Signal, 1)
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		ok(w)
		select {
		case signals <- Signal{"interrupt", 2}:
		default:
		}
	})
	b.o.Requests, b.o.Signals, b.o.Grace = 1, signals, time.Hour
	b.rows(10, generation, "")
	s := b.run(130)
	if s.InDoubt != 0 || s.Done+s.Pending != 10 {
		t.Errorf("%+v", s)
	}
}

// Rows under way at the deadline may finish within the grace period.
func TestDeadline(t *testing.T) {
	for _, tt := range []struct {
		grace       time.Duration
		done, doubt int
	}{{time.Hour, 2, 0}, {time.Millisecond, 0, 2}} {
		b := newBench(t, func(w http.ResponseWriter, req *http.Request, _ string, _ int) {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-req.Context().Done():
			}
			ok(w)
		})
		b.o.Deadline, b.o.Grace, b.o.MaxInFlight = 150*time.Millisecond, tt.grace, 2
		b.rows(10, generation, "")
		counts(t, b.run(exitDeadline), tt.done, 0, 8, tt.doubt)
	}
}

// A batch whose rows have all ended before it stops is complete.
func TestStoppedAtTheEnd(t *testing.T) {
	signals := make(chan Signal, 1)
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		signals <- Signal{"interrupt", 2}
		ok(w)
	})
	b.o.Signals = signals
	b.rows(1, generation, "")
	counts(t, b.run(exitAll), 1, 0, 0, 0)
}
