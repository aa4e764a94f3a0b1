package budget

import (
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRuntime makes the same calls through Budget, which has a clock and a word of its own.
func TestRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Budget
		for i := range 10 {
			if b.Take() != nil {
				t.Fatalf("retry %d of a fresh budget was rejected, want 10", i+1)
			}
		}
		take := func() bool { return b.Take() == nil }
		steps := []struct {
			name string
			do   func() bool
			want bool
			left float64
		}{
			{"take", take, false, 0},
			{"success", func() bool { b.Success(); return true }, true, 0.1},
			{"wait", func() bool { time.Sleep(9 * time.Second); return true }, true, 1},
			{"take", take, true, 0},
			{"return", func() bool { b.Return(); return true }, true, 1},
			{"wait", func() bool { time.Sleep(time.Hour); return true }, true, 10},
			{"take", take, true, 9},
		}
		for i, step := range steps {
			if got := step.do(); got != step.want || b.Level() != step.left {
				t.Fatalf("step %d, %s: got %v and %v left, want %v and %v",
					i, step.name, got, b.Level(), step.want, step.left)
			}
		}
	})
}

// TestBubbles: a Budget under two unrelated clocks is never blocked. A package variable in tests is
// an example.
func TestBubbles(t *testing.T) {
	b := &Budget{Capacity: 1}
	live := func(t *testing.T) {
		b.Take()
		time.Sleep(time.Hour)
		if b.Take() != nil {
			t.Errorf("rejected after an hour with %v left, want a retry granted", b.Level())
		}
	}
	for range 3 {
		synctest.Test(t, live)
		b.Take()
	}
}

func TestUnlimited(t *testing.T) {
	for range 100_000 {
		if Unlimited.Take() != nil {
			t.Fatal("Unlimited rejected a retry")
		}
	}
	Unlimited.Return()
	Unlimited.Success()
	if got := Unlimited.Level(); !math.IsInf(got, 1) {
		t.Errorf("level: got %v, want +Inf", got)
	}
	if err := Unlimited.Validate(); err != nil {
		t.Errorf("Validate: got %v, want no error", err)
	}
}

func TestValidate(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		b     *Budget
		want  string  // a part of the error; "" = valid
		level float64 // of the fresh bucket: an invalid field counts as unset
	}{
		{&Budget{}, "", 10},
		{&Budget{Capacity: 1, Deposit: 1, Refill: 100}, "", 1},
		{&Budget{Capacity: 2.5}, "", 2.5},
		{&Budget{Capacity: 68_719}, "", 68_719},
		{&Budget{Capacity: 1e9}, "", 68_719},
		{&Budget{Capacity: math.Inf(1)}, "", math.Inf(1)},
		{&Budget{Capacity: 0.5}, "Capacity is 0.5: want 1 or more, or 0 for 10", 0.5},
		{&Budget{Capacity: -1}, "Capacity is -1", 10},
		{&Budget{Capacity: nan}, "Capacity is NaN", 10},
		{&Budget{Deposit: -1}, "Deposit is -1: want more than 0, or 0 for 0.1", 10},
		{&Budget{Deposit: nan}, "Deposit is NaN", 10},
		{&Budget{Refill: -1}, "Refill is -1: want more than 0, or 0 for 0.1", 10},
		{&Budget{Refill: nan}, "Refill is NaN", 10},
	}
	for _, test := range tests {
		b := test.b
		err := b.Validate()
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v, %v, %v: got %v, want %q", b.Capacity, b.Deposit, b.Refill, err, test.want)
		}
		if got := b.Level(); got != test.level {
			t.Errorf("%v, %v, %v: level %v, want %v", b.Capacity, b.Deposit, b.Refill, got, test.level)
		}
	}
}

func TestRefused(t *testing.T) {
	b := &Budget{Capacity: 20, Deposit: 0.25}
	for range 20 {
		b.Take()
	}
	err := b.Take()
	want := "retry budget is empty: Capacity 20, Deposit 0.25 per success, Refill 0.1 per second; " +
		"a batch with a fixed number of workers may use budget.Unlimited"
	if err.Error() != want {
		t.Errorf("text:\n got %s\nwant %s", err, want)
	}
	var empty *EmptyError
	if !errors.Is(err, ErrEmpty) || !errors.As(err, &empty) || empty.Capacity != 20 {
		t.Errorf("%v: got ErrEmpty %v, %+v, want true and a capacity of 20",
			err, errors.Is(err, ErrEmpty), empty)
	}
}

// TestHammer: many goroutines at once neither lose nor create a token. The bucket is never full or
// empty, so the sequential sum is exact.
func TestHammer(t *testing.T) {
	const workers, rounds = 8, 1000
	b := &Budget{Capacity: 60_000, Deposit: 0.125, Refill: 1e-12}
	for range 10_000 {
		b.Take()
	}
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for range rounds {
				b.Take()
				b.Take()
				b.Return()
				b.Success()
			}
		})
	}
	wait.Wait()
	const want = 60_000 - 10_000 - workers*rounds*(1-0.125)
	if got := b.Level(); got != want {
		t.Errorf("level after %d rounds: got %v, want %v", workers*rounds, got, want)
	}
}

// TestHammerEmpty: callers that compete for the last tokens get no more than are left.
func TestHammerEmpty(t *testing.T) {
	const workers, rounds = 8, 2000
	b := &Budget{Capacity: 25, Deposit: 0.5, Refill: 1e-12}
	var granted, paid atomic.Int64
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := range rounds {
				if b.Take() == nil {
					granted.Add(1)
				}
				if i%10 == w {
					b.Success()
					paid.Add(1)
				}
			}
		})
	}
	wait.Wait()
	most := 25 + float64(paid.Load())*0.5
	got := float64(granted.Load())
	if got > most || got+b.Level() < 25 || b.Level() < 0 || b.Level() > 25 {
		t.Errorf("granted %v with %v left, want 25 to %v and 0 to 25", got, b.Level(), most)
	}
}

func TestNothingAllocates(t *testing.T) {
	var b Budget
	got := testing.AllocsPerRun(100, func() {
		b.Success()
		b.Take()
		b.Success()
		b.Return()
		b.Level()
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// None switches off the deposit or the refill. Without both, a Budget is a fixed number of retries.
func TestNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			b              *Budget
			earned, passed float64 // the level after a success, and a second later
		}{
			{&Budget{Capacity: 2}, 0.1, 0.2},
			{&Budget{Capacity: 2, Deposit: None}, 0, 0.1},
			{&Budget{Capacity: 2, Refill: None}, 0.1, 0.1},
			{&Budget{Capacity: 2, Deposit: None, Refill: None}, 0, 0},
		} {
			b := row.b
			if err := b.Validate(); err != nil {
				t.Errorf("%+v: %v", b, err)
			}
			b.Take()
			b.Take()
			b.Success()
			earned := b.Level()
			time.Sleep(time.Second)
			if passed := b.Level(); earned != row.earned || passed != row.passed {
				t.Errorf("Deposit %v, Refill %v: got %v and %v, want %v and %v",
					b.Deposit, b.Refill, earned, passed, row.earned, row.passed)
			}
		}
	})
}
