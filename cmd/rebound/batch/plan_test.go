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

// mixed has rows that are pending, in doubt, done, failed, and failed since they were in doubt.
func mixed(t *testing.T, path string) *bench {
	var b *bench
	stuck := make(chan struct{}, 8)
	var made atomic.Bool
	b = newBench(t, func(w http.ResponseWriter, req *http.Request, id string, _ int) {
		switch {
		case made.Load():
			ok(w)
		case strings.HasPrefix(id, "failed"):
			fails(w, 400, "bad", "no")
		case strings.HasPrefix(id, "doubt"), strings.HasPrefix(id, "held"):
			stuck <- struct{}{}
			<-req.Context().Done()
		default:
			ok(w)
		}
	})
	var input strings.Builder
	more := func(kind string, n int) {
		for i := range n {
			input.WriteString(rowLine(fmt.Sprintf("%s%d", kind, i), path, ""))
		}
		b.write(input.String())
	}
	cut := func(rows int) {
		signals := make(chan Signal, 2)
		b.o.Signals, b.o.Grace = signals, time.Millisecond
		go func() {
			for range rows {
				<-stuck
			}
			signals <- Signal{"interrupt", 2}
		}()
		b.run(130)
		b.o.Signals = nil
	}
	more("done", 3)
	more("failed", 4)
	b.run(exitFailed)
	more("held", 2)
	cut(2)
	b.o.InDoubt = "hold"
	b.run(exitFailed)
	b.o.InDoubt = ""
	more("doubt", 3)
	cut(3)
	more("pending", 5)
	made.Store(true)
	b.calls = map[string]int{}
	return b
}

// ways calls test with a mixed batch, for each way to take it up.
func ways(t *testing.T, test func(*testing.T, *bench)) {
	for _, path := range []string{generation, "/orders"} {
		for _, inDoubt := range []string{"auto", "redo", "hold"} {
			for _, retry := range []string{"", "failed", "in-doubt", "failed in-doubt"} {
				t.Run(strings.Join([]string{path[1:], inDoubt, retry}, " "), func(t *testing.T) {
					b := mixed(t, path)
					b.o.InDoubt, b.o.First = inDoubt, 1+len(retry)
					b.o.RetryFailed = strings.Contains(retry, "failed")
					b.o.RetryInDoubt = strings.Contains(retry, "in-doubt")
					test(t, b)
				})
			}
		}
	}
}

// A dry run estimates the rows that the same command sends without it, and changes nothing.
func TestDryRunIsOfTheRun(t *testing.T) { ways(t, testDryRun) }

// A probe estimates the rows that the command which goes on sends.
func TestProbeIsOfTheRest(t *testing.T) {
	ways(t, func(t *testing.T, b *bench) {
		b.o.Probe = 2
		probed := b.run(exitStopped)
		b.o.Probe, b.o.RetryFailed, b.o.RetryInDoubt = 0, false, false
		before := b.total()
		s, _, err := Run(t.Context(), b.o)
		if err != nil {
			t.Fatal(err)
		}
		rest := b.total() - before
		want := fmt.Sprintf("estimate for the other %d rows, from 2 results", rest)
		if before != 2 || rest < 3 || s.Pending+s.InDoubt > 0 ||
			!strings.Contains(probed.Estimate, want) {
			t.Errorf("%d and %d calls, %+v; no %q in\n%s", before, rest, s, want, probed.Estimate)
		}
	})
}

// What a probe that is cut leaves in doubt is part of the rest, unless it becomes an error.
func TestProbeIsCut(t *testing.T) {
	for path, want := range map[string]string{
		generation: "estimate for the other 5 rows, from 4 results",
		"/orders":  "estimate for the other 4 rows, from 4 results",
	} {
		signals := make(chan Signal, 2)
		b := newBench(t, func(w http.ResponseWriter, req *http.Request, id string, _ int) {
			if id == "r9" {
				signals <- Signal{"interrupt", 2}
				<-req.Context().Done()
			}
			ok(w)
		})
		b.o.Probe, b.o.Signals, b.o.Grace, b.o.MaxInFlight = 5, signals, time.Millisecond, 1
		b.rows(9, path, "")
		s := b.run(130)
		counts(t, s, 4, 0, 4, 1)
		if !strings.Contains(s.Estimate, want) {
			t.Errorf("%s: no %q in\n%s", path, want, s.Estimate)
		}
	}
}

func testDryRun(t *testing.T, b *bench) {
	var plan, again strings.Builder
	b.o.DryRun = true
	b.o.Stdout = &plan
	before := b.files()
	b.run(exitAll)
	b.o.Stdout = &again
	b.run(exitAll)
	if b.total() > 0 || b.files() != before || again.String() != plan.String() {
		t.Errorf("%d calls; the files are\n%s, want\n%s; the second plan is\n%s, want\n%s", b.total(),
			b.files(), before, again.String(), plan.String())
	}
	b.o.DryRun = false
	s, _, err := Run(t.Context(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("to send: %d rows, ", b.total())
	if b.total() < 5 || s.Pending+s.InDoubt > 0 || !strings.Contains(plan.String(), want) {
		t.Errorf("%+v; no %q in\n%s", s, want, plan.String())
	}
}

// files are the contents of all files of a batch.
func (b *bench) files() string {
	var all strings.Builder
	for _, suffix := range []string{"", ".errors", ".errors.1", ".errors.1.new", ".journal"} {
		data, _ := os.ReadFile(b.o.Output + suffix)
		fmt.Fprintf(&all, "%s: %s\n", suffix, data)
	}
	return all.String()
}
