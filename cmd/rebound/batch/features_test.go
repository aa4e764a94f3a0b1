package batch

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Standard output gets the results of earlier runs, and then those of this one.
func TestTee(t *testing.T) {
	var n atomic.Int64
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
		if n.Add(1) == 30 {
			fails(w, 401, "invalid_api_key", "wrong key")
			return
		}
		ok(w)
	})
	for _, crash := range []bool{true, false} {
		b.o.Crash = crash
		b.rows(100, generation, "")
		b.run(map[bool]int{true: exitStopped, false: exitAll}[crash])
		b.o.Tee = true
		var out strings.Builder
		b.o.Stdout = &out
		b.run(exitAll)
		data, err := os.ReadFile(b.o.Output)
		if err != nil || out.String() != string(data) || strings.Count(out.String(), "\n") != 100 {
			t.Errorf("%d bytes were copied of %d, %v", out.Len(), len(data), err)
		}
		b.o.Tee = false
	}
}

// A probe sends rows from the whole file, keeps their results, and estimates the others.
func TestProbe(t *testing.T) {
	s := &limitedServer{perSecond: 50}
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
		if id == "r1" {
			t.Error("r1 was sent")
		}
		s.answer(w)
	})
	b.withPrices(100)
	b.o.Budget, b.o.Probe = 0, 10
	b.rows(1000, generation, `,"model":"m","max_tokens":5`)
	got := b.run(exitStopped)
	counts(t, got, 10, 0, 990, 0)
	for i := 100; i <= 1000; i += 100 {
		if b.calls[fmt.Sprintf("r%d", i)] != 1 {
			t.Errorf("calls %v, want r100, r200, …", b.calls)
			break
		}
	}
	for _, want := range []string{
		"estimate for the other 990 rows, from 10 results",
		"cost  $49.50 to $49.50 more", "bound by 3000 requests per minute", "time  ",
	} {
		if !strings.Contains(got.Estimate, want) {
			t.Errorf("no %q in %s", want, got.Estimate)
		}
	}
	// A probe of more rows than exist is the whole batch.
	b.rows(15, generation, `,"model":"m","max_tokens":5`)
	b.o.Probe, b.calls["r1"] = 20, 0
	b.write(strings.ReplaceAll(rowLine("x", generation, ""), "r1", "x"))
	counts(t, b.run(exitAll), 1, 0, 0, 0)
}

// The time that rows have waited is counted by its cause.
func TestWaits(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, nth int) {
		if nth == 1 {
			w.Header().Set("Retry-After-Ms", "200")
			w.WriteHeader(503)
			return
		}
		ok(w)
	})
	b.o.MaxInFlight = 1
	b.rows(2, generation, "")
	s := b.run(exitAll)
	if s.Waited.Backoff < 0.39 || s.Waited.Limit >= 0.39 {
		t.Errorf("waited %+v, want 0.4 s before retries, and nothing else", s.Waited)
	}
	b.rows(8, "/other", "")
	b.write(strings.ReplaceAll(rowLine("a", generation, "")+rowLine("b", generation, ""), "x", "x"))
	b.o.Requests, b.o.Policy.Attempts = 120, 2
	s = b.run(exitAll)
	if s.Waited.Limit < 0.3 {
		t.Errorf("waited %+v, want some for the limit of 2 a second", s.Waited)
	}
}

// The report has what a person needs the next morning.
func TestReport(t *testing.T) {
	s := Summary{
		Rows: 100, Done: 90, Failed: 6, Pending: 3, InDoubt: 1, Repeated: 2, Attempts: 120,
		Stopped: "the budget is used up", Seconds: 61, Waited: Waits{12, 3}, CostUSD: 1.25,
		Command: "rebound batch in.jsonl -o out.jsonl",
	}
	for i := range 7 {
		s.Reasons = append(s.Reasons, Reason{fmt.Sprintf("code%d", i), 1, "r1", "too\nlong"})
	}
	var text strings.Builder
	if err := s.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"stopped: the budget is used up\n", "failed: 1 × code4, such as \"r1\": too long\n",
		"failed: for 2 more reasons, see the errors\n", "12 s for limits, 3 s before retries",
		"100 rows: 90 done, 6 failed, 3 pending\nrepeated after doubt: 2\nin doubt: 1\n" +
			"to go on: rebound batch in.jsonl -o out.jsonl\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

// follow looks at the progress every few milliseconds, until it is as it should be.
func follow(l Live, reached func(Progress) bool) Progress {
	p := l.Progress()
	for ; !reached(p); p = l.Progress() {
		<-time.After(5 * time.Millisecond)
	}
	return p
}

// When rows of each model wait, the time left is that of the limits of all models together.
func TestTimeLeftOfModels(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { ok(w) })
	var lefts []time.Duration // when two rows had ended, and all others waited
	b.o.Progress = func(l Live) func() {
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			follow(l, func(p Progress) bool {
				if p.Ended == 2 {
					lefts = append(lefts, p.Left)
				}
				return p.Ended == p.Rows
			})
		}()
		return func() { <-watched }
	}
	b.o.Requests = 30 // a minute
	b.write(rowLine("r1", generation, `,"model":"m"`) + rowLine("r2", generation, `,"model":"n"`) +
		rowLine("r3", generation, `,"model":"m"`) + rowLine("r4", generation, `,"model":"n"`))
	b.run(exitAll)
	if !slices.Contains(lefts, 2*time.Second) {
		t.Errorf("time left after two of four rows: %v, want 2s, for one row a second", lefts)
	}
}

// Progress counts durable rows, and estimates the time of the rest.
func TestProgress(t *testing.T) {
	var live Live
	done := make(chan struct{})
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, _ int) {
		if id == "r3" {
			<-done
		}
		ok(w)
	})
	var last Progress
	b.o.Progress = func(l Live) func() {
		live = l
		go func() {
			last = follow(live, func(p Progress) bool { return p.Ended == 2 && p.InFlight == 1 })
			close(done)
		}()
		return func() {}
	}
	b.rows(3, generation, "")
	b.run(exitAll)
	if last.Rows != 3 || last.Ended != 2 || last.InFlight != 1 || last.Left == 0 ||
		last.Tokens != [2]float64{20, 10} {
		t.Errorf("%+v", last)
	}
}
