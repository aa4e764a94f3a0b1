package crew

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
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
		{"as many as the limit", 4, 100, 20, 20, 0, 20, 25},
		{"a limit above the most", 4, 10, 20, 20, 0, 10, 10},
		{"a limit below the first", 8, 100, 4, 4, 0, 8, 8},
		{"no row but one", 8, 1, 20, 20, 0, 1, 1},
		{"nine tenths wait elsewhere", 4, 100, 8, 8, 9 * time.Second, 45, 80},
		{"a limit that grows", 2, 100, 2, 64, 0, 50, 70},
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

func TestUseHalf(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, row := range []struct {
		cores int
		env   string
		want  int
	}{{1, "", 1}, {2, "", 1}, {3, "", 2}, {8, "", 4}, {8, "8", 8}} {
		t.Setenv("GOMAXPROCS", row.env)
		runtime.GOMAXPROCS(row.cores)
		UseHalf()
		if got := runtime.GOMAXPROCS(0); got != row.want {
			t.Errorf("%d cores, GOMAXPROCS=%q: %d, want %d", row.cores, row.env, got, row.want)
		}
	}
}

// The heap grows by about as much, whatever the table and the workers take.
func TestCollect(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC is set")
	}
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, row := range []struct{ rows, workers, want int }{
		{100, 8, 200}, {1_000_000, 64, 67}, {1_000_000, 256, 26}, {10_000_000, 64, 4},
	} {
		Collect(row.rows, row.workers)
		if got := debug.SetGCPercent(100); got != row.want {
			t.Errorf("%d rows, %d workers: GOGC %d, want %d", row.rows, row.workers, got, row.want)
		}
	}
	t.Setenv("GOGC", "77")
	Collect(1_000_000, 64)
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("GOGC %d, want the user's", got)
	}
}
