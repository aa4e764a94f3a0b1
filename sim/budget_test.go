package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
)

// The numbers of the default budget. A change to them must pass these tests, and update
// docs/budget.md.

// TestDefaultBudgetInOutage: over any 10 s of a total outage at 100 calls a second or more, the
// load is at most 1.1 times the calls.
func TestDefaultBudgetInOutage(t *testing.T) {
	const window = 100 // bins
	for _, rate := range []float64{100, 300, 1000} {
		for _, attempts := range []int{0, 5, 10} {
			t.Run(fmt.Sprintf("%v/s attempts=%d", rate, attempts), func(t *testing.T) {
				r := play(t, Scenario{
					Duration: 80 * time.Second, Bin: 100 * time.Millisecond,
					Clients: Clients{Rate: rate},
					Server: Server{Windows: []Window{{
						From: 20 * time.Second, To: 60 * time.Second, Refuse: 1,
					}}},
				}, &rebound.Policy{Attempts: attempts})
				worst := 0.0
				for i := range len(r.Bins) - window {
					worst = max(worst, load(r.Bins[i:i+window]))
				}
				if worst > 1.1 || worst <= 1 {
					t.Errorf("worst load over 10 s: got %.4f, want above 1 and at most 1.1", worst)
				}
				if r.Retries < 10 {
					t.Errorf("%d retries, want at least the 10 of a full budget", r.Retries)
				}
			})
		}
	}
}

// load is the number of attempts per call.
func load(bins []Bin) float64 {
	var c Counts
	for i := range bins {
		c.add(&bins[i].Counts)
	}
	return float64(c.Attempts) / float64(c.Calls)
}

// TestDefaultBudgetInBlip: if failures are few and independent, no retry is lost.
func TestDefaultBudgetInBlip(t *testing.T) {
	for _, c := range []struct {
		fails, rate, refill float64
		least, most         float64 // share of retries denied
	}{
		{0.01, 100, 0, 0, 0},
		{0.02, 100, 0, 0, 0},
		{0.05, 100, 0, 0, 0.0005},
		{0.08, 10, 0, 0.001, 0.008},
		{0.08, 100, 0, 0.005, 0.02},
		{0.08, 100, 1, 0.001, 0.008},
	} {
		t.Run(fmt.Sprintf("%v at %v/s refill=%v", c.fails, c.rate, c.refill), func(t *testing.T) {
			const calls = 400_000
			r := play(t, Scenario{
				Duration: time.Duration(calls / c.rate * float64(time.Second)),
				Bin:      time.Minute,
				Clients:  Clients{Rate: c.rate},
				Server:   Server{Windows: []Window{{Fail: c.fails}}},
			}, &rebound.Policy{Budget: &budget.Budget{Refill: c.refill}})
			lost := float64(r.Denied) / float64(r.Denied+r.Retries)
			if lost < c.least || lost > c.most {
				t.Errorf("retries lost: got %.5f, want %v to %v", lost, c.least, c.most)
			}
		})
	}
}

// TestDefaultBudgetForLoneCaller: one caller that calls every 20 s or less often gets every retry,
// however long the outage; one that calls all the time still gets one every 10 s.
func TestDefaultBudgetForLoneCaller(t *testing.T) {
	lone := func(every time.Duration) Scenario {
		return Scenario{
			Duration: 2 * time.Hour, Bin: time.Minute,
			Clients: Clients{Count: 1, Think: Dist{Mean: every, Shape: Constant}},
			Server:  Server{Windows: []Window{{Refuse: 1}}},
		}
	}
	for _, every := range []time.Duration{20 * time.Second, time.Minute} {
		if r := play(t, lone(every), nil); r.Denied != 0 || r.Amplification < 2.9 {
			t.Errorf("a call every %v: %d retries denied and %.3f attempts a call, want 0 and 3",
				every, r.Denied, r.Amplification)
		}
	}
	r := play(t, lone(time.Second), nil)
	if perMinute := float64(r.Retries-10) / 120; perMinute < 5.9 || perMinute > 6.1 {
		t.Errorf("a call every second: %.2f retries a minute, want 6", perMinute)
	}
}

// TestDefaultBudgetInFleet: every process has its own refill, so a fleet multiplies it. With 100
// processes and the default, a server of 1000/s can still drain its queue.
func TestDefaultBudgetInFleet(t *testing.T) {
	for _, c := range []struct {
		refill   float64 // 0 = the default, 0.1
		load     float64 // attempts per call while the queue drains
		recovers bool
		within   time.Duration
	}{
		{0, 1.010, true, time.Minute},
		{0.2, 1.022, true, time.Minute},
		{1, 1.118, false, 0}, // it would, 135 s after the trigger
		{5, 1.588, false, 0},
	} {
		t.Run(fmt.Sprintf("refill=%v", c.refill), func(t *testing.T) {
			s := metastable()
			s.Clients.Rate, s.Clients.Processes = 850, 100
			s.Duration = 140 * time.Second
			r := play(t, s, &rebound.Policy{Budget: &budget.Budget{Refill: c.refill}})
			if r.Recovered != c.recovers || r.Recovery > c.within {
				t.Errorf("recovered: got %v in %v, want %v within %v",
					r.Recovered, r.Recovery, c.recovers, c.within)
			}
			near(t, "load while it drains", load(r.Bins[40:100]), c.load, 0.01)
		})
	}
}
