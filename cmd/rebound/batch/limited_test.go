package batch

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// limitedServer allows a number of requests a second, by a bucket of one second. It also counts
// rejected requests toward the limit, as OpenAI does.
type limitedServer struct {
	perSecond float64

	mu       sync.Mutex
	level    float64
	at       time.Time
	accepted int
	refused  int
}

func (s *limitedServer) answer(w http.ResponseWriter) {
	s.mu.Lock()
	now := time.Now()
	if s.at.IsZero() {
		s.level = s.perSecond
	} else {
		s.level = min(s.level+now.Sub(s.at).Seconds()*s.perSecond, s.perSecond)
	}
	s.at = now
	s.level--
	accepted := s.level >= 0
	if accepted {
		s.accepted++
	} else {
		s.refused++
	}
	s.level = max(s.level, -s.perSecond)
	level := s.level
	s.mu.Unlock()
	h := w.Header()
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(int(s.perSecond*60)))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(max(int(level), 0)))
	h.Set("X-Ratelimit-Reset-Requests", time.Duration((s.perSecond-level)/s.perSecond*1e9).String())
	if accepted {
		<-time.After(20 * time.Millisecond)
		ok(w)
		return
	}
	fails(w, 429, "rate_limit_exceeded", "Rate limit reached for requests")
}

// 64 workers share a server's limit: few rejections, no row lost, most of the limit used.
func TestLimitedServer(t *testing.T) {
	const perSecond = 50
	rows := 400
	if long() {
		rows = 1500
	}
	s := &limitedServer{perSecond: perSecond}
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { s.answer(w) })
	b.o.MaxInFlight = 64
	b.rows(rows, generation, "")
	began := time.Now()
	counts(t, b.run(exitAll), rows, 0, 0, 0)
	took := time.Since(began).Seconds()
	t.Logf("%d rows in %.1f s: %.1f a second, %d rejected", rows, took, float64(rows)/took, s.refused)
	if float64(s.refused) >= 0.02*float64(rows) {
		t.Errorf("%d rejections for %d rows, want less than 2 %%", s.refused, rows)
	}
	if long() && float64(rows)/took < 0.8*perSecond {
		t.Errorf("%.1f rows a second, want 80 %% of %d", float64(rows)/took, perSecond)
	}
}
