package adaptive

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
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

// row describes the attempts of a window, and the limit after it.
type row struct {
	s    Sample
	want float64
}

// law is windows in a row.
type law struct {
	name   string
	config Config
	rows   []row
}

const ms = time.Millisecond

func served(latency time.Duration, in int) Sample  { return Sample{latency, in, Served} }
func dropped(latency time.Duration, in int) Sample { return Sample{latency, in, Dropped} }

func TestLaws(t *testing.T) {
	checkLaws(t, []law{
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
			{served(31*ms, 9), 18.9}, // the latency is not caused by this limit
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
	})
}

func TestSlowStart(t *testing.T) {
	checkLaws(t, []law{
		{"slow start", Config{SlowStart: true}, []row{
			{served(10*ms, 10), 20}, // not in use
			{served(10*ms, 20), 40},
			{served(12*ms, 40), 80}, // within the tolerance
			{served(40*ms, 80), 80}, // a queue, or something else
			{served(12*ms, 80), 160},
			{served(60*ms, 160), 160},
			{served(60*ms, 160), 80}, // a queue: what was enough before
			{served(12*ms, 80), 80.8},
		}},
		{"slow start, full from the first window on", Config{SlowStart: true}, []row{
			{served(10*ms, 20), 40},
			{served(20*ms, 40), 40},
			{served(20*ms, 40), 20},
		}},
		{"slow start, refused", Config{Initial: 64, Max: 100, SlowStart: true}, []row{
			{served(10*ms, 64), 100},
			{dropped(10*ms, 30), 50},
			{dropped(10*ms, 30), 45},
			{served(10*ms, 45), 45.8},
		}},
		{"slow start to a target", Config{Target: 30 * ms, SlowStart: true}, []row{
			{served(30*ms, 20), 40},
			{served(99*ms, 9), 40}, // slow, but not by a queue
			{served(99*ms, 9), 40},
			{served(31*ms, 40), 40},
			{served(31*ms, 40), 20},
			{served(30*ms, 20), 21},
		}},
	})
}

// A limit that fell because the latency grew gets back what it had, if the latency stays. A slow
// start that ended for that goes on.
func TestSlowerServerTimeline(t *testing.T) {
	checkLaws(t, []law{{"slow start", Config{Initial: 20, Max: 100, SlowStart: true}, []row{
		{served(10*ms, 20), 40},
		{served(100*ms, 40), 40},   // a slow window
		{served(100*ms, 40), 20},   // a second one: half
		{served(100*ms, 20), 20.1}, // the attempts of before have ended
		{served(100*ms, 20), 40},   // the latency stayed
		{served(100*ms, 40), 80},
	}}})
}

// When the latency is normal and the limit is back, the next fall is judged by itself.
func TestFallIsOver(t *testing.T) {
	l := Limit{limit: 40, found: true, warm: warmup, long: float64(100 * ms), from: 40,
		took: float64(200 * ms)}
	if l.update(&Config{}, Summary{Latency: 100 * ms, Peak: 40}); l.from != 0 || l.limit <= 40 {
		t.Errorf("%+v, want a limit that grows and has not fallen", l)
	}
}

// With a target, the limit falls until the latency is as wanted.
func TestTargetComesFirst(t *testing.T) {
	l := Limit{limit: 20, found: true, warm: warmup, long: float64(10 * ms), from: 40,
		took: float64(100 * ms), halved: true}
	c := &Config{Target: 50 * ms}
	if l.update(c, Summary{Latency: 100 * ms, Peak: 20}); l.limit != 18 {
		t.Errorf("limit %v, want 18", l.limit)
	}
}

// A slow start that an overload ended does not go on.
func TestOverloadEndsSlowStart(t *testing.T) {
	c := &Config{SlowStart: true}
	for _, guessed := range []bool{false, true} {
		l := Limit{limit: 20, found: true, guessed: guessed, warm: warmup, long: float64(10 * ms),
			from: 40, took: float64(100 * ms), halved: true}
		w := Summary{Latency: 100 * ms, Peak: 40}
		if l.update(c, w); l.limit != 40 {
			t.Errorf("guessed %v: limit %v, want 40, as before", guessed, l.limit)
		}
		want := 40.8
		if guessed {
			want = 80
		}
		if l.update(c, w); math.Abs(l.limit-want) > 1e-9 {
			t.Errorf("guessed %v: limit %v, want %v", guessed, l.limit, want)
		}
	}
	l := Limit{limit: 20, long: float64(10 * ms), warm: 1}
	if l.update(c, Summary{Latency: 10 * ms, Peak: 20, Overloaded: true}); !l.found || l.guessed {
		t.Errorf("%+v, want a slow start that an overload ended", l)
	}
}

func checkLaws(t *testing.T, laws []law) {
	for _, c := range laws {
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

// A limit that is not reached stays the same. The one of resile grows without use.
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

// Attempts that fail together count once, however many they are, and even across the end of a
// window (aibrix#2452).
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
	// While such drops still arrive, the limit does not grow either.
	for i := range 100 {
		v := []Verdict{Served, Dropped}[i%2]
		now := 10*time.Second + time.Duration(i)*50*time.Millisecond
		latency := []time.Duration{time.Millisecond, 9 * time.Second}[i%2]
		l.Add(c, now, Sample{latency, 900, v})
	}
	l.Add(c, 19*time.Second, Sample{time.Millisecond, 1, Served}) // the end of their last window
	if got := l.Now(c); got != 900 {
		t.Errorf("limit %d beside late drops, want 900", got)
	}
	// Those that began since then count.
	now := 20 * time.Second
	l.window10(t, c, now, Sample{timeout, 1000, Dropped})
	if got := l.Now(c); got != 810 {
		t.Errorf("limit %d after the next cohort, want 810", got)
	}
}

// A drop that began at the very moment of a cut met the new limit.
func TestDropThatBeganAtACut(t *testing.T) {
	c := &Config{}
	var l Limit
	cut := l.window10(t, c, time.Hour, dropped(ms, 20))
	for i := range 11 {
		now := cut + time.Second + time.Duration(i)*windowLength/10
		l.Add(c, now, dropped(now-cut, 20))
	}
	if got := l.value(c); math.Abs(got-16.2) > 0.001 {
		t.Errorf("limit %v, want 16.2 after two cuts", got)
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

// A window lasts until its tenth sample. After a pause, a new window lasts a second from its first
// sample on.
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
	if want := (Summary{Latency: time.Millisecond, Peak: 7}); !complete || sum != want {
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

// No window is more than a tenth of the long-term latency, however long it is.
func TestLongWindowsAreBounded(t *testing.T) {
	l := Limit{long: float64(time.Minute), warm: warmup}
	if got := l.learn(2*time.Minute, 1e6); math.Abs(got-66e9) > 1 {
		t.Errorf("%v, want 66s", time.Duration(got))
	}
}

// The limit is that of a slow reference, which keeps every sample and follows the text of the law.
func TestAgainstReference(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := &Config{Initial: 1 + r.IntN(50), Min: 1 + r.IntN(3), Max: 20 + r.IntN(100)}
		if seed%2 == 0 {
			c.Target = time.Duration(1 + r.IntN(int(100*time.Millisecond)))
		}
		var l Limit
		ref := reference{Config: c, limit: float64(max(min(c.Initial, c.Max), c.Min)), cut: -1}
		now, slowest := time.Hour, int64(time.Second)
		phase := 0
		for i := range 3000 {
			if i == phase { // the server becomes faster or slower
				phase += 50 + r.IntN(1000)
				slowest = int64(1 + r.IntN(1000)*int(time.Millisecond))
				if r.IntN(4) == 0 {
					slowest *= 10 + r.Int64N(50)
				}
			}
			now += time.Duration(r.Int64N(int64(40 * time.Millisecond)))
			s := Sample{time.Duration(r.Int64N(slowest)), 1 + r.IntN(40),
				Verdict(min(r.IntN(12), 1) + r.IntN(20)/19)}
			l.Add(c, now, s)
			ref.add(now, s)
			if got, want := l.value(c), ref.limit; math.Abs(got-want) > 1e-9*want {
				t.Fatalf("seed %d, sample %d: limit %v, want %v", seed, i, got, want)
			}
		}
	}
}

type reference struct {
	*Config
	limit   float64
	cut     time.Duration
	first   time.Duration
	later   bool          // there was a window before
	next    time.Duration // when the window is looked at again
	samples []Sample
	late    int
	means   []float64
	long    float64

	falling []fallen // the windows since the latency exceeded what was normal
}

func (r *reference) add(now time.Duration, s Sample) {
	if s.Verdict == Ignored {
		return
	}
	if len(r.samples) == 0 {
		r.first, r.late = now, 0
	}
	if s.Verdict == Dropped && now-s.Latency < r.cut {
		r.late++
	}
	if r.samples = append(r.samples, s); len(r.samples) < 10 || now-r.first < time.Second {
		return
	}
	sum, served, peak := 0., 0., 0
	for _, s := range r.samples {
		peak = max(peak, s.InFlight)
		if s.Verdict == Served {
			sum += float64(s.Latency)
			served++
		}
	}
	n, drops := len(r.samples), len(r.samples)-int(served)
	overloaded, recovering := 20*(drops-r.late) > n, 20*drops > n
	mean := math.Trunc(sum / max(served, 1))
	least := 2 * mean
	if !r.later {
		least = 4 * mean
	}
	if now < r.next && !(overloaded && s.Verdict == Dropped) {
		return
	}
	if r.next = r.first + time.Duration(least); now < r.next && !overloaded {
		return
	}
	r.samples, r.later, r.next = nil, true, 0
	before := r.limit
	seconds := max(1, 2*mean/1e9)
	if served > 0 {
		r.learn(mean, seconds)
	}
	if overloaded {
		r.cut = now
	}
	if from := r.mistaken(mean, recovering); from > 0 && r.Target == 0 {
		r.limit = from
		return
	}
	r.follow(overloaded, float64(peak) > r.limit/2, mean, seconds)
	if recovering {
		r.limit = min(r.limit, before)
	}
	r.limit = max(min(r.limit, float64(r.Max)), float64(r.Min))
}

// follow changes the limit after a window.
func (r *reference) follow(overloaded, used bool, mean, seconds float64) {
	switch {
	case overloaded:
		r.limit *= 0.9
	case !used:
	case r.Target > 0 && mean > float64(r.Target):
		r.limit *= 0.9
	case r.Target > 0:
		r.limit += min(seconds, max(1, r.limit/4))
	default:
		gradient, share := max(0.5, min(1, 1.5*r.long/mean)), min(0.2*seconds, 0.5)
		r.limit = (1-share)*r.limit + share*r.limit*gradient + min(0.8*seconds, max(0.8, r.limit/4))
	}
}

// mistaken returns the limit from which it fell for nothing, or 0.
func (r *reference) mistaken(mean float64, dropped bool) float64 {
	n, slow := len(r.falling), mean > 1.5*r.long
	switch {
	case dropped, !slow && (n == 0 || r.limit >= r.falling[0].limit):
		r.falling = nil
	case n < 2 || r.falling[n-1].limit > r.falling[0].limit/2:
		r.falling = append(r.falling, fallen{r.limit, mean})
	default:
		from, highest := r.falling[0].limit, 0.
		for _, f := range r.falling {
			highest = max(highest, f.mean)
		}
		r.falling = []fallen{{r.limit, mean}}
		if mean > 0.75*highest {
			r.long, r.falling = mean, nil
			return from
		}
	}
	return 0
}

// fallen is a slow window while the limit falls.
type fallen struct{ limit, mean float64 }

func (r *reference) learn(mean, seconds float64) {
	if r.means = append(r.means, mean); len(r.means) <= 10 {
		// The plain mean, except for forgotten samples.
		r.long += (mean - r.long) / float64(len(r.means))
	} else {
		share := min(2./601*seconds, 0.1)
		r.long = r.long*(1-share) + mean*share
	}
	if r.long > 2*mean {
		r.long *= 0.95
	}
}
