package reboundredis

import (
	"math"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// leaseTest is a process under a limit of 1000 per second that takes a turn each gap.
func leaseTest(gap time.Duration, attempts int) (booked, asked, most int) {
	b := booking{n: 1, cost: ms, depth: ms, leases: true}
	var s turns
	now, tat := time.Now(), time.Duration(0)
	for range attempts {
		if _, ok := s.take(b, now, time.Hour); !ok {
			n := s.count(b, now)
			booked, asked, most = booked+n, asked+1, max(most, n)
			tat = max(tat, 0)
			s.learn(b, n, answer{booked: true, wait: tat}, now, now)
			tat += time.Duration(n) * b.cost
		}
		now, tat = now.Add(gap), tat-gap
	}
	return booked, asked, most
}

// A process leases about as much as it uses, so that little is lost at any rate.
func TestLeasesAreUsed(t *testing.T) {
	for _, row := range []struct {
		gap   time.Duration
		asked int // at most, of 1000 attempts
	}{
		{ms, 200}, {2 * ms, 300}, {5 * ms, 700}, {9 * ms, 1000}, {11 * ms, 1000}, {time.Second, 1000},
	} {
		booked, asked, most := leaseTest(row.gap, 1000)
		if asked > row.asked || booked > 1050 || most > 10 {
			t.Errorf("an attempt each %v: 1000 took %d turns with %d requests of up to %d; "+
				"want at most 1050, %d and 10", row.gap, booked, asked, most, row.asked)
		}
	}
}

// Turns that a process holds expire, so that a fleet cannot save them up.
func TestTurnsExpire(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		b     booking
		after time.Duration
		want  bool
	}{
		{booking{n: 1, cost: ms, leases: true}, 11 * ms, true},
		{booking{n: 1, cost: ms, leases: true}, 12 * ms, false},
		{booking{n: 1, cost: 2 * ms}, 4 * ms, true},
		{booking{n: 1, cost: 2 * ms}, 5 * ms, false},
		{booking{n: 1, cost: time.Hour}, time.Hour + 10*ms, true},
		{booking{n: 1, cost: time.Hour}, time.Hour + 11*ms, false},
	} {
		var s turns
		s.learn(row.b, 2, answer{booked: true}, now, now)
		if _, ok := s.take(row.b, now.Add(row.after), 0); ok != row.want {
			t.Errorf("%+v: usable after %v: %v, want %v", row.b, row.after, ok, row.want)
		}
	}
}

// A pooled turn is for the same number of tokens, in time, and for one attempt.
func TestTakeOfPooledTurns(t *testing.T) {
	now := time.Now()
	var s turns
	b := booking{n: 1, cost: time.Minute}
	first := s.learn(b, 1, answer{booked: true, wait: time.Minute, tat: 7}, now, now)
	if !first.at.Equal(now.Add(time.Minute)) || first.tat != 7 || !s.give(first) || s.give(first) {
		t.Fatalf("the turn is %+v", first)
	}
	if _, ok := s.take(booking{n: 2, cost: time.Minute}, now, time.Hour); ok {
		t.Error("taken for two tokens")
	}
	if _, ok := s.take(b, now, time.Minute-1); ok {
		t.Error("taken although it is too late")
	}
	for i, want := range []bool{true, true, false} { // it was given twice
		if _, ok := s.take(b, now, time.Minute); ok != want {
			t.Errorf("take %d: %v, want %v", i, ok, want)
		}
	}
}

// What a process derives about the others from answers at given times.
func TestRoom(t *testing.T) {
	now := time.Now()
	b := booking{n: 1, cost: time.Second, depth: 3 * time.Second}
	at := func(s float64) time.Time { return now.Add(time.Duration(s * float64(time.Second))) }
	answers := func(s *turns, waits ...float64) {
		for i, w := range waits {
			s.learn(b, 1, answer{wait: time.Duration(w * float64(time.Second))},
				at(float64(i)/10), at(float64(i)/10+.05))
		}
	}
	for _, row := range []struct {
		name  string
		waits []float64 // of rejections, a tenth of a second apart; each takes half of that
		pool  float64   // when a turn in the pool begins; 0 = none
		after float64
		want  float64
	}{
		{"no answer", nil, 0, 0, 0},
		{"a rejection", []float64{5}, 0, 0.05, 4.95},
		{"as it nears", []float64{5}, 0, 1, 4},
		{"an old answer", []float64{5}, 0, 1.06, 0},
		{"room in the bucket", []float64{-2}, 0, 0.05, 0},
		{"a later turn is newer", []float64{5, 9}, 0, 0.2, 8.9},
		{"an earlier turn is older", []float64{9, 5}, 0, 0.2, 8.8},
		{"but after a deletion", []float64{9, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 0, 1.3, 4.9},
		{"a turn in the pool", []float64{5}, 2, 0.05, 1.95},
		{"a later turn in the pool", []float64{5}, 7, 0.05, 4.95},
	} {
		var s turns
		answers(&s, row.waits...)
		if row.pool > 0 {
			s.give(turn{at: at(row.pool), last: at(row.pool + 1), n: 1})
			s.give(turn{at: at(row.pool / 2), last: at(row.pool + 1), n: 2})
		}
		got := s.room(b, at(row.after)).Seconds()
		if math.Abs(got-row.want) > .001 {
			t.Errorf("%s: room after %v s, want %v", row.name, got, row.want)
		}
		if free := len(s.free); row.pool == 0 && free > 0 {
			t.Errorf("%s: rejections have left %d turns", row.name, free)
		}
	}
	// A slow answer may be from the beginning of its request.
	var s turns
	s.learn(b, 1, answer{wait: 5 * time.Second}, now, at(2))
	if got := s.room(b, at(2)); got != 3*time.Second {
		t.Errorf("after an answer that took 2s: room in %v, want 3s", got)
	}
	first := s.learn(b, 1, answer{booked: true, wait: 6 * time.Second}, now, at(2))
	if !first.at.Equal(at(8)) { // and of its end
		t.Errorf("the turn begins in %v, want 8s", first.at.Sub(now))
	}
	first = s.learn(b, 1, answer{booked: true, wait: -2 * time.Second}, now, at(2))
	if !first.at.Equal(at(2)) {
		t.Errorf("the turn of a full bucket begins at %v, want 2s", first.at.Sub(now))
	}
}

// A lease is no longer than 10 ms, nor than 100 turns, and doubles while it is used up.
func TestLeaseGrows(t *testing.T) {
	for _, row := range []struct {
		cost, gap time.Duration
		want      []int
	}{
		{time.Microsecond, ms, []int{1, 2, 4, 8, 16, 32, 64, 100, 100}},
		{0, ms, []int{1, 2, 4, 8, 16, 32, 64, 100, 100}},
		{ms, ms, []int{1, 2, 4, 8, 10, 10}},
		{ms, 10 * ms, []int{1, 2, 4, 8, 10}},
		{ms, 11 * ms, []int{1, 1, 1}},
		{time.Minute, ms, []int{1, 1, 1}},
	} {
		var s turns
		var got []int
		now := time.Now()
		for range row.want {
			got = append(got, s.count(booking{n: 1, cost: row.cost, leases: true}, now))
			now = now.Add(row.gap)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%v each %v: %v, want %v", row.cost, row.gap, got, row.want)
		}
	}
}

// The time in µs is right on average, whatever the rate.
func TestMicros(t *testing.T) {
	for _, ns := range []float64{1, 400, 1000, 1428.57, 333333.333, 0} {
		sum, rounds := 0.0, 1000
		for i := range rounds {
			sum += float64(micros(ns, float64(i)/float64(rounds)))
		}
		if mean := sum / float64(rounds); math.Abs(mean-ns) > 1 {
			t.Errorf("%v ns are %v on average", ns, mean)
		}
	}
	if got := micros(math.Inf(1), 0); got != maxSpan {
		t.Errorf("infinite: %v", got)
	}
}

// In a script, errors of Redis 6 and older begin differently.
func TestPasses(t *testing.T) {
	for answer, want := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":                                     true,
		"OOM command not allowed when used memory":                                           true,
		"ERR Error running script (call to f_1): @user_script:9: -OOM command not allowed":   true,
		"ERR Error running script (call to f_1): @user_script: 9: -READONLY You can't write": true,
		"ERR Error running script (call to f_1): @user_script: 9: WRONGTYPE Operation":       false,
		"ERR max number of clients reached":                                                  true,
		"ERR unknown command 'evalsha'":                                                      false,
		"NOAUTH Authentication required.":                                                    false,
		"BUSYKEY Target key name already exists.":                                            false,
	} {
		if got := passes(answer); got != want {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	}
	if !slices.IsSorted(passing[:9]) {
		t.Error("the codes are not in order")
	}
}
