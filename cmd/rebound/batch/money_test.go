package batch

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// prices has one model: a token of an answer costs a cent, and a prompt nothing.
const prices = `{"m":{"input_cost_per_token":0,"output_cost_per_token":0.01}}`

func (b *bench) withPrices(budget float64) {
	b.o.Budget, b.o.Prices = budget, filepath.Join(b.dir, "prices.json")
	if err := os.WriteFile(b.o.Prices, []byte(prices), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// By the server's count, a budget is kept over all runs on the files, whatever is in flight.
func TestBudget(t *testing.T) {
	var cents atomic.Int64
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, nth int) {
		<-time.After(time.Millisecond)
		used := int64(len(id)*7+nth) % 6 // up to max_tokens
		cents.Add(used)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"usage":{"prompt_tokens":1,"completion_tokens":%d}}`, used)
	})
	b.withPrices(1)
	b.rows(500, generation, `,"model":"m","max_tokens":5`)
	s := b.run(exitStopped)
	if cents.Load() > 100 || cents.Load() < 90 {
		t.Errorf("%d cents were spent, want at most 100, and nearly that", cents.Load())
	}
	if got := fmt.Sprintf("%.2f", s.CostUSD); got != fmt.Sprintf("%.2f", float64(cents.Load())/100) {
		t.Errorf("the report has %s, the server %d cents", got, cents.Load())
	}
	if s.Pending != 500-s.Done || s.InDoubt != 0 || !strings.Contains(s.Stopped, "budget") {
		t.Errorf("%+v", s)
	}
	calls := b.total()
	again := b.run(exitStopped)
	if b.total() != calls || again.CostUSD != s.CostUSD {
		t.Errorf("the second run made %d calls and has spent %v, want 0 and %v", b.total()-calls,
			again.CostUSD, s.CostUSD)
	}
}

// An attempt in doubt counts as its maximum cost: before and after the row has ended, and in the
// next run.
func TestBudgetOfUnknownOutcomes(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, id string, nth int) {
		switch {
		case id == "r1" && nth <= 4:
			cutConnection()
		case id == "r2" && nth == 1:
			fails(w, 503, "overloaded", "try later") // costs nothing
			return
		case id == "r3":
			fails(w, 401, "invalid_api_key", "wrong key")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
	})
	b.withPrices(1)
	b.o.MaxInFlight = 1
	b.rows(2, generation, `,"model":"m","max_tokens":5`)
	s := b.run(exitAll)
	if got := fmt.Sprintf("%.2f", s.CostUSD); got != "0.22" { // 4 × 0.05, and two answers
		t.Errorf("cost %s, want 0.22", got)
	}
	if got := b.lines("")["r1"].Rebound.Cost; fmt.Sprintf("%.2f", got) != "0.21" {
		t.Errorf("the line has %v, want 0.21", got)
	}
	b.rows(3, generation, `,"model":"m","max_tokens":5`)
	if again := b.run(exitStopped); again.CostUSD != s.CostUSD {
		t.Errorf("the next run has %v, want %v", again.CostUSD, s.CostUSD)
	}
}

// A row that stays in doubt keeps its maximum cost, even if another run ends it.
func TestBudgetOfDoubt(t *testing.T) {
	for _, how := range []string{"hold", "redo"} {
		t.Run(how, func(t *testing.T) {
			b := newBench(t, func(w http.ResponseWriter, req *http.Request, id string, nth int) {
				if id == "r1" && nth == 1 {
					<-req.Context().Done()
					return
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
			})
			b.withPrices(1)
			b.o.MaxInFlight, b.o.Grace, b.o.Deadline = 1, time.Millisecond, 100*time.Millisecond
			b.rows(1, generation, `,"model":"m","max_tokens":5`)
			counts(t, b.run(exitDeadline), 0, 0, 0, 1)
			b.o.Deadline, b.o.InDoubt = 0, how
			want, code := "0.05", exitFailed
			if how == "redo" {
				want, code = "0.06", exitAll
			}
			for range 2 {
				if got := fmt.Sprintf("%.2f", b.run(code).CostUSD); got != want {
					t.Errorf("cost %s, want %s", got, want)
				}
			}
		})
	}
}

func TestBudgetNeedsPrices(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { ok(w) })
	for _, tt := range []struct{ more, want string }{
		{`,"model":"other","max_tokens":5`, `in.jsonl:1: unknown_price: model "other"`},
		{`,"model":"m"`, "want max_tokens"},
		{``, "unknown_price"},
	} {
		b.withPrices(1)
		b.rows(1, generation, tt.more)
		if _, code, err := Run(t.Context(), b.o); code != exitOwn || err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: code %d, error %v; want %q", tt.more, code, err, tt.want)
		}
	}
	b.o.Prices = ""
	if _, code, err := Run(t.Context(), b.o); code != exitOwn || err == nil {
		t.Errorf("code %d, error %v; want one for a budget without prices", code, err)
	}
	if b.total() != 0 {
		t.Errorf("%d calls, want none", b.total())
	}
}
