package bucket

import (
	"math"
	"testing"
	"time"
)

// TestTimeline is a bucket's life in rows of time, call, and level after the call.
func TestTimeline(t *testing.T) {
	const minute, month = time.Minute, 30 * 24 * time.Hour
	c := Config{Capacity: 3}
	var b Bucket
	rows := []struct {
		now   time.Duration
		call  string
		level float64
	}{
		{0, "level", 3},
		{0, "success", 3}, // never above Capacity
		{0, "return", 3},
		{0, "take", 2},
		{0, "success", 2.1},
		{0, "take", 1.1},
		{0, "take", 0.1},
		{0, "refused", 0.1},
		{8990 * time.Millisecond, "refused", 0.999},
		{9 * time.Second, "level", 1},
		{9 * time.Second, "take", 0}, // a refusal has not stopped the refill
		{9 * time.Second, "refused", 0},
		{14 * time.Second, "return", 1.5},
		{14 * time.Second, "success", 1.6},
		{14 * time.Second, "take", 0.6},
		{13 * time.Second, "level", 0.6}, // late: nothing has passed
		{13 * time.Second, "refused", 0.6},
		{18 * time.Second, "take", 0},
		{17 * time.Second, "return", 1},
		{17 * time.Second, "take", 0}, // late: the refill still counts from 18 s
		{19 * time.Second, "level", 0.1},
		{minute, "level", 3},
		{minute, "take", 2},
		{month, "take", 2},
		{month, "take", 1},
		{-2 * minute, "take", 2}, // a clock gone wrong locks nothing
		{-2 * minute, "take", 1},
		{-2*minute + 10*time.Second, "level", 2},
	}
	for i, row := range rows {
		ok := true
		switch row.call {
		case "take", "refused":
			b, ok = b.Take(c, row.now)
		case "success":
			b = b.Success(c)
		case "return":
			b = b.Return()
		}
		if want := row.call != "refused"; ok != want {
			t.Fatalf("row %d, %v: %s: Take got %v, want %v", i, row.now, row.call, ok, want)
		}
		if got := b.Level(c, row.now); got != row.level {
			t.Fatalf("row %d, %v: level after %s: got %v, want %v", i, row.now, row.call, got, row.level)
		}
	}
}

func TestUnlimited(t *testing.T) {
	c := Config{Capacity: math.Inf(1)}
	if b, ok := Bucket(0).Take(c, 0); b != 0 || !ok || !math.IsInf(b.Level(c, 0), 1) {
		t.Errorf("got %d, %v, level %v, want 0, true, +Inf", b, ok, b.Level(c, 0))
	}
}

func BenchmarkTakeAndReturn(b *testing.B) {
	var s Bucket
	for range b.N {
		s, _ = s.Take(Config{}, 1)
		s = s.Return()
	}
}
