package adaptive

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// window10 adds the samples of one window, spread over its second, and returns the time at its end.
func (l *Limit) window10(t *testing.T, c *Config, now time.Duration, s Sample) time.Duration {
	t.Helper()
	for i := range 11 {
		complete := l.Add(c, now+time.Duration(i)*windowLength/10, s)
		if complete != (i == 10) {
			t.Fatalf("sample %d completes the window: %v", i, complete)
		}
	}
	return now + windowLength
}

// Rows of windows: what the attempts of each were like, and the limit after it.
func TestLaws(t *testing.T) {
	const ms = time.Millisecond
	served := func(latency time.Duration, in int) Sample { return Sample{latency, in, Served} }
	dropped := func(latency time.Duration, in int) Sample { return Sample{latency, in, Dropped} }
	type row struct {
		s    Sample
		want float64
	}
	for _, c := range []struct {
		name   string
		config Config
		rows   []row
	}{
		{"Gradient2", Config{}, []row{
			{served(10*ms, 10), 20},     // half of the limit in use: it stays
			{served(10*ms, 11), 20.8},   // more: a fifth of the way to 20 + 4
			{served(10*ms, 20), 21.6},   //
			{dropped(10*ms, 20), 19.44}, // once × 0.9
			{served(10*ms, 20), 20.24},  //
			{served(15*ms, 20), 21.04},  // within the tolerance
			{served(40*ms, 20), 20.131}, // a queue
			{dropped(40*ms, 1), 18.117}, // an overload counts whether the limit is in use or not
			{served(40*ms, 1), 18.117},  //
		}},
		{"AIMD", Config{Target: 30 * ms}, []row{
			{served(30*ms, 20), 21},
			{served(31*ms, 20), 18.9},
			{served(31*ms, 9), 18.9}, // the latency has another cause than this limit
			{served(10*ms, 9), 18.9},
			{dropped(10*ms, 9), 17.01},
			{served(10*ms, 9), 18.01},
		}},
		{"bounds", Config{Initial: 2, Min: 2, Max: 3}, []row{
			{dropped(ms, 2), 2},
			{served(ms, 2), 2.8},
			{served(ms, 2), 3},
			{served(ms, 3), 3},
		}},
		{"no time at all", Config{}, []row{{served(0, 20), 20.8}, {served(0, 20), 21.6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l Limit
			now := time.Hour
			for i, r := range c.rows {
				now = l.window10(t, &c.config, now, r.s) + time.Second
				if got := l.value(&c.config); math.Abs(got-r.want) > 0.001 {
					t.Errorf("window %d: limit %.3f, want %.3f", i, got, r.want)
				}
				if got := l.Now(&c.config); got != int(l.limit) {
					t.Errorf("window %d: Now %d of %v", i, got, l.limit)
				}
			}
		})
	}
}

func TestMinimum(t *testing.T) {
	var l Limit
	c := &Config{}
	now := time.Duration(0)
	for range 100 {
		now = l.window10(t, c, now, Sample{0, 20, Dropped}) + 1
	}
	if l.Now(c) != 1 {
		t.Fatalf("limit %d after a hundred windows of overload, want 1", l.Now(c))
	}
	for range 4 {
		now = l.window10(t, c, now, Sample{time.Millisecond, l.Now(c), Served}) + 1
	}
	if l.Now(c) != 4 {
		t.Errorf("limit %v after four good windows at 1, want 4.2", l.limit)
	}
}

// A limit that nobody reaches stays: that of resile grows without use.
func TestUnusedLimitStays(t *testing.T) {
	for _, c := range []*Config{{}, {Target: time.Second}} {
		var l Limit
		now := time.Duration(0)
		for range 1000 {
			now = l.window10(t, c, now, Sample{time.Millisecond, 5, Served}) + 1
		}
		if l.Now(c) != DefaultInitial {
			t.Errorf("%+v: limit %d after 1000 windows with 5 in flight, want 20", c, l.Now(c))
		}
	}
}

// A cohort that fails together counts once, however many there are, and even if the end of a window
// is between them (aibrix#2452).
func TestCohortCountsOnce(t *testing.T) {
	c := &Config{Initial: 1000}
	var l Limit
	const timeout = 5 * time.Second
	for i := range 1000 { // all began at 0, and their timeouts take four seconds to arrive
		now := timeout + time.Duration(i)*4*time.Millisecond
		l.Add(c, now, Sample{now, 1000, Dropped})
	}
	if got := l.Now(c); got != 900 {
		t.Errorf("limit %d after a cohort of 1000 timeouts, want 900", got)
	}
	// Those that began since then count.
	now := 20 * time.Second
	l.window10(t, c, now, Sample{timeout, 1000, Dropped})
	if got := l.Now(c); got != 810 {
		t.Errorf("limit %d after the next cohort, want 810", got)
	}
}

func TestFewDropsAreNoOverload(t *testing.T) {
	for drops, want := range []int{0: 20, 1: 20, 2: 18} {
		c := &Config{}
		var l Limit
		for i := range 21 {
			v := Served
			if i < drops {
				v = Dropped
			}
			l.Add(c, time.Duration(i)*50*time.Millisecond, Sample{time.Millisecond, 20, v})
		}
		if got := l.Now(c); got != want {
			t.Errorf("%d of 21 dropped: limit %d, want %d", drops, got, want)
		}
	}
}

// A window that waits for its tenth sample lasts as long as that takes; after a pause a new one
// lasts a second from its first sample on.
func TestWindows(t *testing.T) {
	var w Window
	s := Sample{time.Millisecond, 3, Served}
	now := time.Duration(0)
	for i := range 10 {
		now = time.Duration(i) * time.Minute
		if _, complete := w.Add(now, s); complete != (i == 9) {
			t.Fatalf("sample %d completes the window: %v", i, complete)
		}
	}
	now += time.Hour
	for i := range 1000 {
		sum, complete := w.Add(now+time.Duration(i)*time.Millisecond, s)
		if complete {
			t.Fatalf("after %d ms: %+v", i, sum)
		}
	}
	// Ignored samples change nothing, not even the time.
	if _, complete := w.Add(now+time.Hour, Sample{time.Hour, 1000, Ignored}); complete {
		t.Fatal("an ignored sample completes a window")
	}
	sum, complete := w.Add(now+time.Second, Sample{time.Millisecond, 7, Served})
	if want := (Summary{time.Millisecond, 7, false}); !complete || sum != want {
		t.Errorf("%+v, %v; want %+v", sum, complete, want)
	}
}

// A clock that was read before a lock was taken runs backwards (cadence PR#6030).
func TestLateSamples(t *testing.T) {
	var l Limit
	c := &Config{}
	now := l.window10(t, c, time.Hour, Sample{time.Millisecond, 20, Dropped})
	for i := range 50 {
		l.Add(c, now-time.Duration(i), Sample{time.Millisecond, 20, Served})
	}
	if got := l.Now(c); got != 18 {
		t.Errorf("limit %d after late samples, want 18", got)
	}
}

func TestJudge(t *testing.T) {
	failed := func(k fault.Kind, err error) gate.Outcome {
		return gate.Outcome{Fault: fault.Fault{Kind: k, Err: err}}
	}
	other := errors.New("other")
	ours := failed(fault.Overloaded, other)
	ours.Fault.Sent = fault.NotSent
	for _, c := range []struct {
		name string
		o    gate.Outcome
		want Verdict
	}{
		{"success", gate.Outcome{Result: gate.OK}, Served},
		{"no rows", failed(fault.None, other), Served},
		{"skipped", gate.Outcome{Result: gate.Skipped}, Ignored},
		{"panic", gate.Outcome{}, Ignored},
		{"canceled", failed(fault.Canceled, context.DeadlineExceeded), Ignored},
		{"permanent", failed(fault.Permanent, other), Ignored},
		{"reset", failed(fault.Transient, other), Ignored},
		{"unknown", failed(fault.Unknown, other), Ignored},
		{"429", failed(fault.RateLimited, other), Dropped},
		{"503", failed(fault.Overloaded, other), Dropped},
		{"a breaker of ours", ours, Ignored},
		{"timeout", failed(fault.Transient, context.DeadlineExceeded), Dropped},
		{"unknown timeout", failed(fault.Unknown, context.DeadlineExceeded), Dropped},
	} {
		if got := Judge(c.o); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
