package crew

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// site is a crew that has a number of rows to send.
type site struct {
	Crew
	mu    sync.Mutex
	left  int
	sent  int
	flown int // the most rows in flight
	under int
}

// row takes a row, if one is left.
func (s *site) row() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return false
	}
	s.left--
	return true
}

// send sends a row, with do as the request.
func (s *site) send(t *testing.T, do func()) {
	pass, err := s.Flight.Enter(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	s.mu.Lock()
	s.under++
	s.flown = max(s.flown, s.under)
	s.mu.Unlock()
	do()
	s.mu.Lock()
	s.under--
	s.sent++
	s.mu.Unlock()
	s.Flight.Leave(pass, gate.Outcome{Result: gate.OK, Fault: fault.Fault{}})
}

// A crew is as large as the limit of the requests in flight. It is larger only while many of its
// workers wait for something else.
func TestCrewFollowsTheLimit(t *testing.T) {
	for _, row := range []struct {
		name            string
		first, most     int
		limit, limitMax int
		rest            time.Duration // after each row, for example before a retry
		least, largest  int           // of the crew in the middle
	}{
		{"as many as the limit", 4, 100, 20, 20, 0, 20, 30},
		{"a limit above the most", 4, 10, 20, 20, 0, 10, 10},
		{"a limit below the first", 8, 100, 4, 4, 0, 8, 8},
		{"no row but one", 8, 1, 20, 20, 0, 1, 1},
		{"nine tenths wait elsewhere", 4, 100, 8, 8, 9 * time.Second, 60, 95},
		{"a limit that grows", 2, 100, 2, 64, 0, 50, 90},
	} {
		synctest.Test(t, func(t *testing.T) {
			const rows = 20000
			s := &site{left: rows}
			s.First, s.Most, s.Rows = row.first, row.most, rows
			s.Flight = &limit.Adaptive{Initial: row.limit, Max: row.limitMax, Queue: rows, SlowStart: true}
			s.Work = func() {
				for !s.Leave() && s.row() {
					s.Hire()
					s.send(t, func() { time.Sleep(time.Second) })
					if row.rest > 0 {
						s.Hire()
						time.Sleep(row.rest)
					}
				}
			}
			s.Start(min(2, row.first))
			time.Sleep(10 * time.Second)
			if n := int(s.size.Load()); row.first > 2 && n != min(2, row.most) {
				t.Errorf("%s: %d workers before the first ones have been started, want 2", row.name, n)
			}
			s.Start(row.first)
			time.Sleep(5*time.Minute + time.Millisecond)
			if n := int(s.size.Load()); n < row.least || n > row.largest {
				t.Errorf("%s: %d workers, want %d to %d", row.name, n, row.least, row.largest)
			}
			s.Wait()
			if s.sent != rows || s.left != 0 {
				t.Errorf("%s: %d rows sent, %d left, want all %d sent", row.name, s.sent, s.left, rows)
			}
			if want := min(row.limitMax, row.most); s.flown > want {
				t.Errorf("%s: %d in flight, want at most %d", row.name, s.flown, want)
			}
		})
	}
}

// While rows wait for the limit of one model, workers are hired for the rows of another.
func TestCrewServesOtherModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{left: 2000}
		s.First, s.Most = 8, 100
		s.Flight = &limit.Adaptive{Initial: 20, Max: 20, Queue: 1000}
		quota := &llm.Quota{Applies: func(*http.Request) bool { return true }}
		client := &llm.Transport{Quota: quota, Policy: &rebound.Policy{Gates: []gate.Gate{s.Flight}}}
		var others atomic.Int32
		client.Base = transport(func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			h := http.Header{}
			if req.URL.Host == "limited.test" { // six requests a minute
				h.Set("X-Ratelimit-Limit-Requests", "6")
				h.Set("X-Ratelimit-Remaining-Requests", "0")
				h.Set("X-Ratelimit-Reset-Requests", "10s")
			} else {
				others.Add(1)
			}
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody}, nil
		})
		s.Work = func() {
			for !s.Leave() && s.row() {
				s.Hire()
				host := "https://example.test"
				s.mu.Lock()
				if s.left >= 1970 || s.left%100 == 0 {
					host = "https://limited.test"
				}
				s.mu.Unlock()
				req := httptest.NewRequestWithContext(t.Context(), "POST", host, nil)
				if _, err := client.RoundTrip(req); err != nil {
					t.Error(err)
				}
			}
		}
		s.Start(8)
		time.Sleep(2*time.Minute + time.Millisecond)
		if n := others.Load(); n < 1500 { // 20 a second
			t.Errorf("%d rows of the other model were sent in 2 minutes, want 1500", n)
		}
		s.Wait()
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// Beyond the permits, workers are hired one after another: the next one when the last one has had
// the time to take a permit. That happens even if no worker asks again.
func TestHireOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		s.First, s.Most = 2, 100
		s.Flight = &limit.Adaptive{Initial: 8, Max: 8}
		over := make(chan struct{})
		s.Work = func() { <-over }
		s.Start(2)
		for i, want := range []int32{9, 10, 11} { // 8 permits, and one more each time
			for range 50 {
				s.Hire()
			}
			if n := s.size.Load(); n != want {
				t.Errorf("%d workers the %d. time, want %d", n, i+1, want)
			}
			time.Sleep(settling)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		if n := s.size.Load(); n != 12 {
			t.Errorf("%d workers in the end, want 12", n)
		}
		close(over)
		s.Wait()
	})
}

// Workers that wait at random times, for example before retries, do not make others come and go.
func TestCrewIsSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 5000
		s := &site{left: rows}
		s.First, s.Most = 4, 100
		s.Flight = &limit.Adaptive{Initial: 20, Max: 20, Queue: rows}
		random := rand.New(rand.NewPCG(1, 2))
		hired := 0
		s.Work = func() {
			s.mu.Lock()
			hired++
			s.mu.Unlock()
			for !s.Leave() && s.row() {
				s.Hire()
				s.mu.Lock()
				took, rest := random.ExpFloat64(), 2*random.ExpFloat64()
				s.mu.Unlock()
				s.send(t, func() { time.Sleep(time.Duration(took * float64(time.Second))) })
				s.Hire()
				time.Sleep(time.Duration(rest * float64(time.Second)))
			}
		}
		s.Start(4)
		s.Wait()
		if hired < 40 || hired > 400 {
			t.Errorf("%d workers were hired for %d rows, want 40 to 400", hired, rows)
		}
	})
}

// Workers leave when the limit has fallen, but not below the first ones.
func TestCrewShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{left: 5000}
		s.First, s.Most = 4, 100
		s.Flight = &limit.Adaptive{Initial: 40, Max: 40, Queue: 1000}
		broken := time.Now().Add(time.Minute)
		s.Work = func() {
			for !s.Leave() && s.row() {
				s.Hire()
				if time.Now().Before(broken) {
					s.send(t, func() { time.Sleep(time.Second) })
					continue
				}
				pass, err := s.Flight.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Second)
				s.Flight.Leave(pass, gate.Outcome{Result: gate.Failed, Fault: fault.Fault{
					Kind: fault.Overloaded}})
			}
		}
		s.Start(4)
		time.Sleep(50 * time.Second)
		if n := s.size.Load(); n < 40 || n > 50 {
			t.Errorf("%d workers, want 40", n)
		}
		time.Sleep(4 * time.Minute)
		if n := s.size.Load(); n != 4 {
			t.Errorf("%d workers after an overload, want 4", n)
		}
		s.Wait()
	})
}

// With real goroutines, no row is lost and the crew stays within its bounds.
func TestCrewHammer(t *testing.T) {
	s := &site{left: 20000}
	s.First, s.Most = 2, 24
	s.Flight = &limit.Adaptive{Initial: 8, Max: 16, Queue: 100, SlowStart: true}
	s.Work = func() {
		for !s.Leave() && s.row() {
			s.Hire()
			s.send(t, runtime.Gosched)
			if n := s.size.Load(); n < 1 || n > 24 {
				t.Errorf("%d workers, want 1 to 24", n)
			}
			s.Hire()
		}
	}
	s.Start(2)
	s.Wait()
	if s.sent != 20000 || s.flown > 16 {
		t.Errorf("%d rows sent, %d in flight; want 20000 and at most 16", s.sent, s.flown)
	}
}
