package breaker_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		began := time.Now()
		b := &breaker.Breaker{Name: "ocr", Failures: 2, OnChange: func(c breaker.Change) {
			got = append(got, fmt.Sprintf("%s %v→%v forced %v: %s %q at %v", c.Name, c.From, c.To,
				c.Forced, c.Why, c.Fault.Detail, c.At.Sub(began)))
		}}
		fail(b, 2)
		time.Sleep(time.Minute)
		fail(b, 1)
		time.Sleep(time.Minute)
		succeed(b, 1)
		b.Reset() // no change: it was closed
		b.ForceClose()
		b.ForceClose() // no change
		b.ForceOpen()
		b.Reset()
		b.ForceHalfOpen()
		b.ForceHalfOpen() // no change
		want := []string{
			`ocr closed→open forced false: failures in a row "status 503" at 0s`,
			`ocr open→half-open forced false: cooldown over "" at 1m0s`,
			`ocr half-open→open forced false: probe failed "status 503" at 1m0s`,
			`ocr open→half-open forced false: cooldown over "" at 2m0s`,
			`ocr half-open→closed forced false: probes succeeded "" at 2m0s`,
			`ocr closed→closed forced true: asked for "" at 2m0s`,
			`ocr closed→open forced true: asked for "" at 2m0s`,
			`ocr open→closed forced false: asked for "" at 2m0s`,
			`ocr closed→half-open forced false: asked for "" at 2m0s`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
	})
}

// TestOnChangeCallsBack calls every method from inside OnChange. If a lock were held, this would be
// a deadlock. If a change were reported before an earlier one, the order would be wrong.
func TestOnChangeCallsBack(t *testing.T) {
	var b *breaker.Breaker
	var got []string
	inside := false
	b = &breaker.Breaker{Failures: 1, OnChange: func(c breaker.Change) {
		if inside {
			t.Errorf("OnChange was called inside OnChange")
		}
		inside = true
		defer func() { inside = false }()
		got = append(got, c.From.String()+"→"+c.To.String())
		switch len(got) {
		case 1:
			b.ForceOpen()
			b.ForceHalfOpen()
			succeed(b, 1)
		case 5:
			t.Errorf("more changes than were made: %q", got)
		}
		b.Snapshot()
		b.State()
		call(b, success)
	}}
	fail(b, 1)
	want := []string{"closed→open", "open→open", "open→half-open", "half-open→closed"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOnChangePanics: a panic reaches the caller, and later changes are still reported.
func TestOnChangePanics(t *testing.T) {
	var changes []breaker.State
	b := &breaker.Breaker{Failures: 1, OnChange: func(c breaker.Change) {
		changes = append(changes, c.To)
		if c.To == breaker.Open {
			panic("boom")
		}
	}}
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		fail(b, 1)
	}()
	if got := b.State(); got != breaker.Open {
		t.Errorf("state %v, want open", got)
	}
	b.Reset()
	if want := []breaker.State{breaker.Open, breaker.Closed}; !slices.Equal(changes, want) {
		t.Errorf("reported %v, want %v", changes, want)
	}
}

// TestOnChangeBlocks shows that calls go on while a callback hangs. The goroutine of that callback
// reports the changes made in the meantime.
func TestOnChangeBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var changes []breaker.State
		b := &breaker.Breaker{Failures: 1, OnChange: func(c breaker.Change) {
			if len(changes) == 0 {
				<-release
			}
			changes = append(changes, c.To)
		}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			fail(b, 1)
		}()
		synctest.Wait()
		b.Reset()
		if !call(b, success) {
			t.Errorf("a call was rejected, want it admitted")
		}
		b.ForceHalfOpen()
		close(release)
		<-done
		want := []breaker.State{breaker.Open, breaker.Closed, breaker.HalfOpen}
		if !slices.Equal(changes, want) {
			t.Errorf("reported %v, want %v", changes, want)
		}
	})
}
