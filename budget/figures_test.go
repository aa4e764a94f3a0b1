package budget

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// ledger counts what a client's calls took from its budget.
type ledger struct {
	calls, granted, refused int
	at                      []time.Duration // of each retry granted
}

// mostWithin returns the most retries granted in any period of that length.
func (l *ledger) mostWithin(period time.Duration) int {
	most, first := 0, 0
	for i, at := range l.at {
		for at-l.at[first] >= period {
			first++
		}
		most = max(most, i+1-first)
	}
	return most
}

// playClient makes a call every so often: the first attempt, and while attempts fail and the budget
// grants it, up to two more at once.
func playClient(b *Budget, every, period time.Duration, fails func() bool) *ledger {
	l, start := &ledger{}, time.Now()
	for time.Since(start) < period {
		l.calls++
		for attempt := 1; ; attempt++ {
			if !fails() {
				b.Success()
				break
			}
			if attempt == 3 {
				break
			}
			if b.Take() != nil {
				l.refused++
				break
			}
			l.granted++
			l.at = append(l.at, time.Since(start))
		}
		time.Sleep(every)
	}
	return l
}

func always() bool { return true }

// TestLoneCaller: a client with one call a minute makes three attempts for every call, even if all
// fail for a day.
func TestLoneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := playClient(&Budget{}, time.Minute, 24*time.Hour, always)
		if l.granted != 2*1440 || l.refused != 0 {
			t.Errorf("got %d retries granted and %d rejected, want 2880 and 0", l.granted, l.refused)
		}
	})
}

// TestOutage: if nothing succeeds, there are 10 retries, and then one every 10 s: at 100 calls a
// second 1.1 % more load over the first 10 s, and 0.1 % after that. The bound that must hold is 10
// % over any 10 s.
func TestOutage(t *testing.T) {
	tests := []struct {
		every, period time.Duration
		granted       int
		any10s        int // the most in any 10 s
	}{
		{10 * time.Millisecond, time.Second, 10, 10},
		{10 * time.Millisecond, 10*time.Second + 1, 11, 10},
		{10 * time.Millisecond, 10 * time.Minute, 69, 10},
		{time.Second, 10 * time.Minute, 69, 10},
		{time.Hour, 24 * time.Hour, 48, 2},
	}
	for _, test := range tests {
		t.Run(test.every.String(), func(t *testing.T) {
			var l *ledger
			synctest.Test(t, func(*testing.T) {
				l = playClient(&Budget{}, test.every, test.period, always)
			})
			any10s := l.mostWithin(10 * time.Second)
			if l.granted != test.granted || any10s != test.any10s {
				t.Errorf("in %v: got %d retries and %d in 10 s, want %d and %d",
					test.period, l.granted, any10s, test.granted, test.any10s)
			}
			load := int(10 * time.Second / test.every)
			if test.every <= 10*time.Millisecond && any10s*10 > load {
				t.Errorf("%d retries to %d calls, want at most a tenth", any10s, load)
			}
		})
	}
}

// TestRecovery: a hundred successes fill the bucket again after an outage.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Budget
		playClient(&b, 10*time.Millisecond, 5*time.Second, always)
		if got := b.Level(); got != 0.5 {
			t.Errorf("level after 5 s of outage: got %v, want 0.5", got)
		}
		playClient(&b, 10*time.Millisecond, time.Second, func() bool { return false })
		if got := b.Level(); got != 10 {
			t.Errorf("level a second later: got %v, want 10", got)
		}
	})
}

// TestIndependentFailures: an hour of 100 calls a second, of which each attempt fails with the
// probability p by itself. Up to 5 % no retry is lost, and at 8 % one in a hundred; at 30 % a retry
// is granted for every ten calls that succeed.
func TestIndependentFailures(t *testing.T) {
	tests := []struct {
		percent        int
		asked, refused int
	}{
		{1, 3557, 0},
		{5, 19_174, 0},
		{8, 31_319, 312},
		{30, 116_372, 88_901},
	}
	for _, test := range tests {
		t.Run(strconv.Itoa(test.percent)+"%", func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			fails := func() bool { return random.IntN(100) < test.percent }
			var l *ledger
			synctest.Test(t, func(*testing.T) {
				l = playClient(&Budget{}, 10*time.Millisecond, time.Hour, fails)
			})
			if asked := l.granted + l.refused; asked != test.asked || l.refused != test.refused {
				t.Errorf("got %d of %d retries rejected (%.3f %%), want %d of %d", l.refused, asked,
					100*float64(l.refused)/float64(asked), test.refused, test.asked)
			}
		})
	}
}
