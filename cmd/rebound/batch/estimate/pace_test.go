package estimate

import (
	"testing"
	"time"
)

// The pace follows a change within a minute.
func TestPace(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var p Pace
	if got := p.PerSecond(began, began, 0); got != 0 {
		t.Errorf("at once: %v, want 0", got)
	}
	rows := 0
	for second := 1; second <= 300; second++ {
		if second <= 120 {
			rows += 10
		} else {
			rows++
		}
		got := p.PerSecond(began, began.Add(time.Duration(second)*time.Second), rows)
		switch {
		case second <= 120 && got != 10:
			t.Fatalf("after %d s: %v per second, want 10", second, got)
		case second > 120 && second <= 180 && (got < 1 || got > 10):
			t.Fatalf("after %d s: %v per second, want 1 to 10", second, got)
		case second > 180 && got != 1:
			t.Fatalf("after %d s: %v per second, want 1", second, got)
		}
	}
}

// A Pace that is seldom asked returns the mean since it was asked.
func TestPaceSeldomAsked(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var p Pace
	for i, row := range []struct {
		after time.Duration
		rows  int
		want  float64
	}{
		{10 * time.Minute, 600, 1}, {20 * time.Minute, 1800, 2}, {20 * time.Minute, 1800, 2},
		{40 * time.Minute, 1800, 0},
	} {
		if got := p.PerSecond(began, began.Add(row.after), row.rows); got != row.want {
			t.Errorf("question %d: %v per second, want %v", i+1, got, row.want)
		}
	}
}
