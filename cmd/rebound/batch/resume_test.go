package batch

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Rows are identified by their ids: lines may be moved, added, removed and changed between runs.
func TestEditedInput(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, nth int) {
		if id == "r3" && nth == 1 {
			fails(w, 401, "invalid_api_key", "wrong key")
			return
		}
		ok(w)
	})
	b.o.MaxInFlight = 1
	b.rows(4, generation, "")
	counts(t, b.run(exitStopped), 2, 0, 2, 0)
	b.write(rowLine("r9", generation, "") + rowLine("r4", generation, "") +
		rowLine("r2", generation, `,"x":1`) + rowLine("r3", generation, `,"x":1`) + "\n")
	s := b.run(exitAll)
	counts(t, s, 4, 0, 0, 0)
	if s.Changed != 2 || s.Foreign != 1 {
		t.Errorf("%d changed, %d not in the input; want 2 and 1", s.Changed, s.Foreign)
	}
	if got := fmt.Sprint(b.calls); got != "map[r1:1 r2:1 r3:2 r4:1 r9:1]" {
		t.Errorf("calls %s", got)
	}
	if n := len(b.lines("")); n != 5 {
		t.Errorf("%d results, want 5", n)
	}
	before := b.total()
	b.run(exitAll)
	if b.total() != before {
		t.Error("a batch that is complete makes no calls")
	}
}

// cutRun makes a run that is cut while r1 is under way.
func cutRun(t *testing.T, path string) *bench {
	var b *bench
	begun := make(chan struct{})
	b = newBench(t, func(w http.ResponseWriter, req *http.Request, id string, nth int) {
		if nth == 1 && id == "r1" {
			close(begun)
			<-req.Context().Done()
			return
		}
		ok(w)
	})
	b.o.MaxInFlight, b.o.Grace = 1, time.Millisecond
	b.rows(3, path, "")
	signals := make(chan Signal, 2)
	b.o.Signals = signals
	go func() {
		<-begun
		signals <- Signal{"interrupt", 2}
	}()
	counts(t, b.run(130), 0, 0, 2, 1)
	b.o.Signals = nil
	return b
}

// What happens to a row in doubt.
func TestInDoubt(t *testing.T) {
	for _, tt := range []struct {
		path, how string
		again     bool
	}{
		{generation, "auto", true}, {"/orders", "auto", false}, {"/orders", "redo", true},
		{generation, "hold", false},
	} {
		t.Run(tt.how+tt.path, func(t *testing.T) {
			b := cutRun(t, tt.path)
			b.o.InDoubt = tt.how
			if tt.again {
				s := b.run(exitAll)
				counts(t, s, 3, 0, 0, 0)
				if s.Repeated != 1 || b.calls["r1"] != 2 {
					t.Errorf("%d repeated, %d calls; want 1 and 2", s.Repeated, b.calls["r1"])
				}
				return
			}
			s := b.run(exitFailed)
			counts(t, s, 2, 1, 0, 0)
			if e := b.lines(".errors")["r1"].Error; e == nil || e.Code != codeInDoubt {
				t.Errorf("error %v", e)
			}
			// Only --retry in-doubt sends it again.
			b.o.RetryFailed = true
			b.run(exitFailed)
			b.o.RetryFailed, b.o.RetryInDoubt = false, true
			counts(t, b.run(exitAll), 3, 0, 0, 0)
			if b.calls["r1"] != 2 {
				t.Errorf("%d calls, want 2", b.calls["r1"])
			}
		})
	}
}

func TestRetryFailed(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, nth int) {
		if id == "r2" && nth < 3 {
			fails(w, 400, "bad", "no")
			return
		}
		ok(w)
	})
	b.rows(3, generation, "")
	b.run(exitFailed)
	b.run(exitFailed)
	b.o.RetryFailed = true
	b.run(exitFailed)
	s := b.run(exitAll)
	counts(t, s, 3, 0, 0, 0)
	if len(b.lines("")) != 3 || len(b.lines(".errors")) != 0 {
		t.Errorf("%v\n%v", b.lines(""), b.lines(".errors"))
	}
	for _, old := range []string{".errors.1", ".errors.2"} {
		if _, err := os.Stat(b.o.Output + old); err != nil {
			t.Error(err)
		}
	}
}

// A row that was in doubt and is rejected before it is sent stays in doubt.
func TestDoubtStays(t *testing.T) {
	b := cutRun(t, generation)
	b.o.Budget, b.o.Prices = 0, ""
	b.o.Policy.MaxElapsed = time.Nanosecond // no attempt begins
	b.o.Deadline = 50 * time.Millisecond
	counts(t, b.run(exitDeadline), 0, 0, 2, 1)
	b.o.DryRun = true
	counts(t, b.run(exitAll), 0, 0, 2, 1)
}

// Ordered results are in the order of the input, even if one row is slow.
func TestOrdered(t *testing.T) {
	var others atomic.Int64
	answered := make(chan struct{}) // closed with the last answer but r2's
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
		if id == "r2" {
			<-answered
		} else if others.Add(1) == 99 {
			defer close(answered)
		}
		if id == "r50" {
			fails(w, 400, "bad", "no")
			return
		}
		ok(w)
	})
	b.o.Ordered = b.o.Output + ".ordered"
	b.rows(100, generation, "")
	b.run(exitFailed)
	data, err := os.ReadFile(b.o.Ordered)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 100 {
		t.Fatalf("%d lines, want 100", len(lines))
	}
	for i, line := range lines {
		if want := fmt.Sprintf(`{"custom_id":"r%d",`, i+1); !strings.HasPrefix(line, want) {
			t.Errorf("line %d is %.40s", i+1, line)
		}
	}
}

// A complete batch of many rows ends at once.
func TestCompleteAlready(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { ok(w) })
	b.rows(100, generation, "")
	for range 2 {
		counts(t, b.run(exitAll), 100, 0, 0, 0)
	}
	if b.total() != 100 {
		t.Errorf("%d calls, want 100", b.total())
	}
}
