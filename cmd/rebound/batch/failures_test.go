package batch

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

// With a wrong key, only the calls under way are made, and no row fails.
func TestWrongKey(t *testing.T) {
	for _, tt := range []struct {
		status        int
		code, message string
	}{
		{401, "invalid_api_key", "Incorrect API key provided"},
		{402, "payment_required", "Payment required"},
		{429, "insufficient_quota", "You exceeded your current quota"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
				<-time.After(10 * time.Millisecond)
				fails(w, tt.status, tt.code, tt.message)
			})
			b.rows(500, generation, "")
			s := b.run(exitStopped)
			counts(t, s, 0, 0, 500, 0)
			if n := b.total(); n > 20 {
				t.Errorf("%d calls, want at most 20", n)
			}
			if !strings.Contains(s.Stopped, tt.message) || len(s.Reasons) > 0 {
				t.Errorf("stopped %q, reasons %v", s.Stopped, s.Reasons)
			}
			// The next run finds none in doubt.
			b.o.DryRun = true
			counts(t, b.run(exitAll), 0, 0, 500, 0)
		})
	}
}

// When the quota is used up in the middle, only the calls under way follow.
func TestQuotaUsedUp(t *testing.T) {
	var n, after, gone atomic.Int64
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		if gone.Load() > 0 {
			after.Add(1)
		}
		if n.Add(1) > 300 {
			fails(w, 429, "insufficient_quota", "You exceeded your current quota")
			gone.Store(1)
			return
		}
		ok(w)
	})
	b.o.MaxInFlight = 16
	b.rows(1000, generation, "")
	s := b.run(exitStopped)
	counts(t, s, 300, 0, 700, 0)
	if after.Load() > 16 {
		t.Errorf("%d calls after the first rejection, want at most those under way", after.Load())
	}
	n.Store(-1e6)
	s = b.run(exitAll)
	counts(t, s, 1000, 0, 0, 0)
	if s.Repeated != 0 {
		t.Errorf("%d repeated, want 0: rejected rows are not in doubt", s.Repeated)
	}
}

// What a failure means for the row.
var fates = []struct {
	name   string
	path   string
	answer func(w http.ResponseWriter, nth int)
	want   int
	code   string // of the error; empty = a result
	calls  int
}{
	{"good", generation, func(w http.ResponseWriter, _ int) { ok(w) }, 0, "", 1},
	{"transient once", generation, func(w http.ResponseWriter, nth int) {
		if nth < 2 {
			fails(w, 503, "overloaded", "try later")
			return
		}
		ok(w)
	}, 0, "", 2},
	{"transient over a round", generation, func(w http.ResponseWriter, nth int) {
		if nth < 4 {
			fails(w, 503, "overloaded", "try later")
			return
		}
		ok(w)
	}, 0, "", 4},
	{"transient for ever", generation, func(w http.ResponseWriter, _ int) {
		fails(w, 503, "overloaded", "try later")
	}, 1, "overloaded", 5},
	{"limited for ever, whatever the method", "/files", func(w http.ResponseWriter, _ int) {
		fails(w, 429, "rate_limit_exceeded", "slow down")
	}, 1, "rate_limit_exceeded", 5},
	{"permanent", generation, func(w http.ResponseWriter, _ int) {
		fails(w, 400, "context_length_exceeded", "too long")
	}, 1, "context_length_exceeded", 1},
	{"not found", "/nothing", func(w http.ResponseWriter, _ int) {
		w.WriteHeader(404)
	}, 1, "http_404", 1},
	{"redirect", generation, func(w http.ResponseWriter, _ int) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(302)
	}, 1, "http_302", 1},
	{"unknown outcome of a POST", "/orders", func(http.ResponseWriter, int) { cutConnection() },
		1, "in_doubt", 1},
	{"502 of a POST", "/orders", func(w http.ResponseWriter, _ int) { w.WriteHeader(502) },
		1, "in_doubt", 1},
	{"unknown outcome of a generation", generation, func(w http.ResponseWriter, nth int) {
		if nth < 3 {
			cutConnection()
		}
		ok(w)
	}, 0, "", 3},
	{"answer that breaks off", "/orders", func(w http.ResponseWriter, _ int) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("{"))
		cutConnection()
	}, 1, "in_doubt", 1},
}

func TestFate(t *testing.T) {
	for _, tt := range fates {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, nth int) {
				tt.answer(w, nth)
			})
			b.o.RowAttempts = 5
			b.rows(1, tt.path, "")
			b.run(tt.want)
			got := b.lines(map[bool]string{true: "", false: ".errors"}[tt.code == ""])["r1"]
			switch {
			case got.CustomID == "":
				t.Errorf("no line: %v %v", b.lines(""), b.lines(".errors"))
			case tt.code == "" && got.Error != nil, tt.code != "" && got.Error.Code != tt.code:
				t.Errorf("got error %+v, want %q", got.Error, tt.code)
			case got.Rebound.Attempts != tt.calls:
				t.Errorf("the line has %d attempts, want %d", got.Rebound.Attempts, tt.calls)
			}
			if n := b.total(); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

// While a breaker is open, rows are postponed and use no attempt.
func TestBreakerHoldsTheFeed(t *testing.T) {
	var n atomic.Int64
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		if n.Add(1) <= 5 {
			w.WriteHeader(503)
			return
		}
		ok(w)
	})
	b.o.Policy.Breaker = &breaker.Breaker{Failures: 5, Cooldown: 1500 * time.Millisecond}
	b.o.MaxInFlight, b.o.RowAttempts = 5, 3
	b.rows(200, generation, "")
	s := b.run(exitAll)
	counts(t, s, 200, 0, 0, 0)
	if s.Attempts != n.Load() || n.Load() != 205 {
		t.Errorf("%d attempts counted, %d calls made; want 205", s.Attempts, n.Load())
	}
}

func TestMaxFailures(t *testing.T) {
	for _, tt := range []struct {
		name        string
		bound       Failures
		first       int
		fails, rows int
		want, most  int // exit code, and rows that ended
	}{
		{"number", Failures{Number: 3}, -1, 100, 100, exitStopped, 4},
		{"number not reached", Failures{Number: 3}, -1, 3, 100, exitFailed, 100},
		{"share, judged from 20 on", Failures{Share: 0.05}, -1, 100, 100, exitStopped, 20},
		{"share of few", Failures{Share: 0.05}, -1, 10, 19, exitFailed, 19},
		{"share not exceeded", Failures{Share: 0.5}, -1, 10, 100, exitFailed, 100},
		{"first", Failures{}, 20, 100, 100, exitStopped, 20},
		{"first, one is good", Failures{}, 20, 19, 100, exitFailed, 100},
		{"first never", Failures{}, -1, 100, 100, exitFailed, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
				if n.Add(1) <= int64(tt.fails) {
					fails(w, 400, "bad", "no")
					return
				}
				ok(w)
			})
			b.o.MaxInFlight, b.o.MaxFailures, b.o.First = 1, tt.bound, tt.first
			b.rows(tt.rows, generation, "")
			s := b.run(tt.want)
			if ended := s.Done + s.Failed; ended != tt.most {
				t.Errorf("%d rows ended, want %d", ended, tt.most)
			}
			if (s.Command != "") != (tt.want == exitStopped) {
				t.Errorf("command %q with exit code %d", s.Command, tt.want)
			}
		})
	}
}
