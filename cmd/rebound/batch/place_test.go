package batch

import (
	"bytes"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// Rows are marked as sent while all permits are taken, so that no permit is unused during a sync.
// Not more rows than permits are sent at a time. Rows without a permit when the batch stops are
// pending.
func TestRowsAreMarkedEarly(t *testing.T) {
	for _, tt := range []struct{ places, marked int }{{1, 1}, {7, 7}, {8, 9}, {16, 18}} {
		var under, most atomic.Int64
		release := make(chan struct{})
		b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
			if id != "r1" { // whose answer opens all places
				most.Store(max(most.Load(), under.Add(1)))
				<-release
				under.Add(-1)
			}
			ok(w)
		})
		signals := make(chan Signal) // the batch has the signal when it was sent
		b.o.Crash, b.o.MaxInFlight, b.o.Signals = false, tt.places, signals
		b.rows(100, generation, "")
		go func() {
			for b.marks() < 1+tt.marked || int(under.Load()) < tt.places {
				<-time.After(time.Millisecond)
			}
			<-time.After(20 * time.Millisecond) // for one too many
			signals <- Signal{"interrupt", 2}
			<-time.After(20 * time.Millisecond)
			close(release)
		}()
		counts(t, b.run(130), 1+tt.places, 0, 99-tt.places, 0)
		if n := int(most.Load()); n != tt.places || b.total() != 1+n || b.marks() != 1+tt.marked {
			t.Errorf("%d places: %d requests at a time, %d in all, %d marks; want %d, %d, %d", tt.places,
				n, b.total(), b.marks(), tt.places, 1+tt.places, 1+tt.marked)
		}
		b.o.DryRun, b.o.Signals = true, nil
		counts(t, b.run(exitAll), 1+tt.places, 0, 99-tt.places, 0)
	}
}

// A row that is marked early is not sent after an answer has shown a fault of the account.
func TestEarlyRowsOfABadAccount(t *testing.T) {
	for range 5 {
		var under atomic.Int64
		release := make(chan struct{})
		b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
			if id == "r1" {
				ok(w)
				return
			}
			under.Add(1)
			<-release
			fails(w, 401, "invalid_api_key", "wrong key")
		})
		b.o.Crash, b.o.MaxInFlight = false, 16
		b.rows(100, generation, "")
		go func() {
			for b.marks() < 1+18 || under.Load() < 16 {
				<-time.After(time.Millisecond)
			}
			close(release)
		}()
		counts(t, b.run(exitStopped), 1, 0, 99, 0)
		if b.total() != 1+16 {
			t.Errorf("%d calls, want 17", b.total())
		}
	}
}

// marks is how many rows the journal has as sent.
func (b *bench) marks() int {
	data, _ := os.ReadFile(b.o.Output + ".journal")
	return bytes.Count(data, []byte("\nS "))
}

// A row whose turn comes after the batch was stopped gives its place back: the second attempt of a
// row under way needs it, while all other places are taken.
func TestPlaceOfAStoppedRowIsGivenBack(t *testing.T) {
	const places = 8
	var under atomic.Int64
	cut, second := make(chan struct{}), make(chan struct{})
	var first atomic.Pointer[string]
	b := newBench(t, func(w http.ResponseWriter, req *http.Request, id string, nth int) {
		switch {
		case id == "r1": // whose answer opens all places
		case nth == 2:
			close(second)
		case first.CompareAndSwap(nil, &id):
			under.Add(1)
			<-cut
			cutConnection()
		default:
			under.Add(1)
			select {
			case <-second:
			case <-req.Context().Done():
			}
		}
		ok(w)
	})
	signals := make(chan Signal) // the batch has the signal when it was sent
	b.o.Crash, b.o.MaxInFlight, b.o.Signals, b.o.Grace = false, places, signals, 5*time.Second
	b.rows(100, generation, "")
	go func() {
		for b.marks() < 1+places+1 || under.Load() < places {
			<-time.After(time.Millisecond)
		}
		signals <- Signal{"interrupt", 2}
		<-time.After(20 * time.Millisecond)
		close(cut)
	}()
	counts(t, b.run(130), 1+places, 0, 99-places, 0)
}
