package bucket

import (
	"math"
	"testing"
	"time"
)

// model is a textbook bucket, without words, ticks or millionths.
type model struct{ level, at float64 }

func (m *model) refill(b Config, now float64) {
	m.level = min(b.Capacity, m.level+b.Refill*max(0, now-m.at))
	m.at = max(m.at, now)
}

// FuzzModel plays a string of calls to a Bucket and to the model. They may differ by the rounding
// of each call, and by one tick of refill.
func FuzzModel(f *testing.F) {
	f.Add(10.0, 0.1, 0.1, []byte("tttttttttttttttt"))
	f.Add(3.0, 0.5, 20.0, []byte("ttttsssttAtttBtrtst\xfftttt"))
	f.Add(68_719.0, 0.001, 0.001, []byte("tt\x80tsr"))
	f.Fuzz(func(t *testing.T, capacity, deposit, refill float64, calls []byte) {
		b := Config{Capacity: capacity, Deposit: deposit, Refill: refill}
		if !(capacity >= 1 && capacity <= mostOwed && deposit > 1e-6 && deposit < 1e6 &&
			refill > 1e-6 && refill < 1e6) {
			t.Skip("invalid, or too large for the word")
		}
		m := model{level: capacity}
		slack := refill * tick.Seconds()
		var s Bucket
		var now time.Duration
		for i, c := range calls {
			switch c % 4 {
			case 0: // time passes
				now += time.Duration(c) * 7 * time.Millisecond
			case 1:
				s = s.Success(b)
				m.level = min(capacity, m.level+deposit)
			case 2:
				s = s.Return()
				m.level = min(capacity, m.level+1)
			case 3:
				m.refill(b, now.Seconds())
				next, ok := s.Take(b, now)
				if doubt := math.Abs(m.level-1) < slack+1e-6*float64(i+2); ok != (m.level >= 1) && !doubt {
					t.Fatalf("call %d at %v: got %v with %v left, want %v", i, now, ok, m.level, !ok)
				}
				if ok {
					m.level--
				}
				s = next
			}
			m.refill(b, now.Seconds())
			got := s.Level(b, now)
			if got < 0 || got > capacity+1e-6 || math.Abs(got-m.level) > slack+1e-6*float64(i+2) {
				t.Fatalf("call %d at %v: level %v, want %v", i, now, got, m.level)
			}
		}
	})
}

// FuzzBucket: whatever the word and the clock, a bucket answers within its bounds, never grants
// what it does not have, and is full again after a day.
func FuzzBucket(f *testing.F) {
	f.Add(uint64(0), int64(0), 10.0)
	f.Add(uint64(math.MaxUint64), int64(math.MinInt64), 1.5)
	f.Fuzz(func(t *testing.T, word uint64, at int64, capacity float64) {
		b := Config{Capacity: capacity, Refill: 1}
		if !(capacity >= 1 && capacity <= 50_000) {
			t.Skip("not valid, or not full after a day")
		}
		s, now := Bucket(word), time.Duration(at)
		before := s.Level(b, now)
		next, ok := s.Take(b, now)
		after := next.Level(b, now)
		if before < 0 || before > capacity+1e-6 || ok != (before >= 1) {
			t.Errorf("%#x at %d: granted %v with %v of %v left", word, at, ok, before, capacity)
		}
		if ok && math.Abs(before-1-after) > 1e-6 || !ok && next != s {
			t.Errorf("%#x at %d: level %v became %v, granted %v", word, at, before, after, ok)
		}
		if at > math.MaxInt64-int64(48*time.Hour) {
			return
		}
		// The clock is 41 s late at most, so a day always refills.
		if day := next.Level(b, now+24*time.Hour); ok && day < capacity-1e-6 {
			t.Errorf("%#x at %d: level a day later %v, want %v", word, at, day, capacity)
		}
	})
}
