package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundtest"
)

func TestAdaptiveIsAGate(t *testing.T) {
	for _, l := range []*limit.Adaptive{
		{Initial: 3, Min: 3, Max: 3},
		{Initial: 3, Min: 3, Max: 3, Target: time.Second},
		{Initial: 3, Min: 3, Max: 3, Queue: 1000, Wait: time.Second},
	} {
		reboundtest.TestGate(t, func() gate.Gate {
			return &limit.Adaptive{Initial: 3, Min: 3, Max: 3, Target: l.Target, Queue: l.Queue,
				Wait: l.Wait}
		}, reboundtest.GateTraits{Limit: 3, NoAllocs: true})
	}
}

var timedOut = endedWith(fault.Transient, context.DeadlineExceeded)

// wave is n attempts at once that take d and end with o, after which the limit's window is over.
func wave(t *testing.T, l *limit.Adaptive, n int, d time.Duration, o gate.Outcome) {
	t.Helper()
	var passes []gate.Pass
	for range n {
		p, err := l.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		passes = append(passes, p)
	}
	time.Sleep(d)
	for i, p := range passes {
		if i == n-1 {
			time.Sleep(time.Second)
			p.A += uint64(time.Second) // as if it had begun a second later
		}
		l.Leave(p, o)
	}
}

// Rows of waves, and the limit after each.
func TestAdaptiveTimeline(t *testing.T) {
	other := endedWith(fault.Unknown, errors.New("x"))
	type row struct {
		n    int
		took time.Duration
		end  gate.Outcome
		want int
	}
	for name, c := range map[string]struct {
		l    *limit.Adaptive
		rows []row
	}{
		"Gradient2": {&limit.Adaptive{}, []row{
			{10, 10 * ms, success, 20},  // half of it is not in use
			{20, 10 * ms, success, 20},  // 20.8
			{20, 10 * ms, success, 21},  // 21.6
			{21, 10 * ms, success, 22},  // 22.4
			{22, 90 * ms, success, 20},  // 17.9 + 0.2 · (22.4 · 0.5 + 4)
			{20, 10 * ms, timedOut, 18}, // once × 0.9, though all were
			{18, 10 * ms, endedWith(fault.RateLimited, errors.New("429")), 16},
			{16, 10 * ms, endedWith(fault.Overloaded, errors.New("503")), 15}, // 15.28
			{15, 10 * ms, success, 16},
			{15, time.Hour, other, 16},
			{15, time.Hour, panicked, 16},
			{15, time.Hour, skipped, 16},
			// The caller's end is no drop (Netflix PR#146), and its latency no sample.
			{15, time.Hour, endedWith(fault.Canceled, context.DeadlineExceeded), 16},
			{15, 10 * ms, success, 16},
		}},
		"AIMD": {&limit.Adaptive{Target: 50 * ms, Initial: 12, Min: 11, Max: 13}, []row{
			{12, 50 * ms, success, 13},
			{13, 50 * ms, success, 13},
			{13, 51 * ms, success, 11}, // 11.7
			{11, 51 * ms, success, 11},
			{11, 50 * ms, success, 12},
			{12, 50 * ms, timedOut, 11},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := c.l
				for i, r := range c.rows {
					wave(t, l, r.n, r.took, r.end)
					s := l.Snapshot()
					if s.Limit != float64(r.want) || s.InFlight != 0 || s.Level != s.Limit {
						t.Errorf("row %d: %+v, want a limit of %d", i, s, r.want)
					}
				}
			})
		})
	}
}

// A cohort that fails together counts once, across windows too (aibrix#2452).
func TestAdaptiveCountsACohortOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Adaptive{Initial: 500}
		var passes []gate.Pass
		for range 500 {
			p, _ := l.Enter(t.Context())
			passes = append(passes, p)
		}
		time.Sleep(time.Minute)
		for _, p := range passes { // five seconds in all
			time.Sleep(10 * ms)
			l.Leave(p, timedOut)
		}
		if s := l.Snapshot(); s.Limit != 450 {
			t.Errorf("%+v, want a limit of 450", s)
		}
	})
}

func TestAdaptiveRejects(t *testing.T) {
	l := &limit.Adaptive{Name: "ocr", Initial: 1}
	p, _ := l.Enter(t.Context())
	_, err := l.Enter(t.Context())
	var e *limit.Error
	if !errors.As(err, &e) || e.Name != "ocr" || !errors.Is(err, limit.ErrFull) {
		t.Errorf("%#v: want an Error of ocr that is ErrFull", err)
	}
	if want := "limit ocr: concurrency limit reached (adaptive)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if f := fault.Of(err); f.Kind != fault.Overloaded || f.Sent != fault.NotSent || f.Final {
		t.Errorf("%+v", f)
	}
	if l.Refusal(0) != err || l.Refusal(1) != nil {
		t.Errorf("Refusal: %v, %v", l.Refusal(0), l.Refusal(1))
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Enter(context.Background()) }); n != 0 {
		t.Errorf("a rejection costs %v allocations", n)
	}
	s := l.Snapshot()
	want := limit.Snapshot{Name: "ocr", Kind: "adaptive", Limit: 1, InFlight: 1, Rejected: 102}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	l.Leave(p, success)
	if l.Refusal(0) != nil {
		t.Error("rejects with a free permit")
	}
}

// An ended context takes no permit, though one is free (gkit#134), and is no rejection.
func TestAdaptiveEndedContextTakesNoPermit(t *testing.T) {
	l, cause := &limit.Adaptive{}, errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := l.Enter(ctx); err != cause {
		t.Errorf("%v, want the context's cause", err)
	}
	if s := l.Snapshot(); s.InFlight != 0 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
}

// Waiting attempts get the permits of a higher limit in their order.
func TestAdaptiveQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Adaptive{Initial: 10, Target: time.Second, Queue: 80, Wait: time.Minute}
		start := time.Now()
		began := make([]time.Duration, 90)
		var all sync.WaitGroup
		for i := range began {
			all.Go(func() {
				p, err := l.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				began[i] = time.Since(start)
				time.Sleep(250 * ms)
				l.Leave(p, success)
			})
			synctest.Wait()
		}
		time.Sleep(1100 * ms)
		// The first window began with the end of the first ten, and ends a second later.
		if s := l.Snapshot(); s.InFlight != 10 || s.Waiting != 40 {
			t.Errorf("after 1.1 s: %+v, want 10 in flight and 40 waiting", s)
		}
		time.Sleep(250 * ms)
		if s := l.Snapshot(); s.InFlight != 11 || s.Waiting != 29 {
			t.Errorf("after 1.35 s: %+v, want 11 in flight and 29 waiting", s)
		}
		all.Wait()
		if !slices.IsSorted(began) {
			t.Errorf("they began after %v, want the order in which they came", began)
		}
		if s := l.Snapshot(); s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// OnChange gets every change in order, may use the limit, and may panic.
func TestAdaptiveOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []limit.Change
		l := &limit.Adaptive{Name: "ocr"}
		l.OnChange = func(c limit.Change) {
			got = append(got, c)
			if s := l.Snapshot(); s.InFlight != 0 || s.Limit != float64(c.To) {
				t.Errorf("%+v in OnChange of %+v", s, c)
			}
			if len(got) == 1 {
				wave(t, l, 18, ms, timedOut) // changes the limit again
				if len(got) != 1 {
					t.Error("OnChange within OnChange")
				}
			}
			if len(got) == 3 {
				panic("boom")
			}
		}
		wave(t, l, 20, ms, timedOut)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic of OnChange was lost")
				}
			}()
			wave(t, l, 16, ms, timedOut)
		}()
		wave(t, l, 14, ms, timedOut)
		want := []limit.Change{{"ocr", 20, 18}, {"ocr", 18, 16}, {"ocr", 16, 14}, {"ocr", 14, 13}}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if s := l.Snapshot(); s.InFlight != 0 {
			t.Errorf("a panic in OnChange kept a permit: %+v", s)
		}
	})
}

// In failsafe-go, OnLimitChanged is called with the lock dropped in the middle of an update, so
// that two updates mix. Here each change begins where the last one ended.
func TestAdaptiveHammer(t *testing.T) {
	var inside, top, changes atomic.Int64
	last := 4
	l := &limit.Adaptive{Initial: 4, Max: 8, Queue: 6, Wait: time.Millisecond}
	l.OnChange = func(c limit.Change) { // unguarded: the race detector watches
		if c.From != last || c.To == last || c.To > 8 {
			t.Errorf("%+v after %d", c, last)
		}
		last = c.To
		changes.Add(1)
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 1500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(2_000_000)))
				if p, err := l.Enter(ctx); err == nil {
					n := inside.Add(1)
					for m := top.Load(); n > m && !top.CompareAndSwap(m, n); m = top.Load() {
					}
					o := success
					if r.IntN(8) == 0 {
						o = timedOut
					}
					inside.Add(-1)
					// Latencies of ten seconds fill windows, so that the test does not wait for them.
					p.A -= uint64(r.Int64N(10_000_000_000))
					l.Leave(p, o)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	s := l.Snapshot()
	if top.Load() > 8 || s.InFlight != 0 || s.Waiting != 0 || s.Limit != float64(last) {
		t.Errorf("at most %d inside, in the end %+v, last %d", top.Load(), s, last)
	}
}

func TestAdaptiveValidate(t *testing.T) {
	for _, l := range []*limit.Adaptive{
		{}, {Max: 5}, {Min: 30}, {Initial: 1}, {Min: 1000}, {Queue: 1, Wait: 1}, {Target: 1},
	} {
		if err := l.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, l := range map[string]*limit.Adaptive{
		"Min is -1: want 1 or more, or 0 for 1":           {Min: -1},
		"Max is -1: want 1 or more, or 0 for 1000":        {Max: -1},
		"Min is 9: want no more than Max":                 {Min: 9, Max: 8},
		"Min is 1001: want no more than Max":              {Min: 1001},
		"Initial is -1: want 1 or more, or 0 for 20":      {Initial: -1},
		"Initial is 5: want between Min and Max":          {Initial: 5, Max: 4},
		"Initial is 6: want between Min and Max":          {Initial: 6, Min: 7},
		"Target is -1ns: want more than 0, or 0 for none": {Target: -1},
		"Queue is -1: want 0 or more":                     {Queue: -1},
	} {
		if err := l.Validate(); err == nil || err.Error() != "limit.Adaptive: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	l := &limit.Adaptive{Max: 5}
	if s := l.Snapshot(); s.Limit != 5 {
		t.Errorf("%+v: the initial limit is above Max", s)
	}
}

// The limit admits and rejects as a slow reference does: two lists, and the bare law.
func TestAdaptiveModel(t *testing.T) {
	for seed := range uint64(200) {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { compareAdaptive(t, seed) })
		}) {
			return
		}
	}
}

// withPasses is a gate that keeps the passes of admitted attempts, by the number in their contexts.
type withPasses struct {
	gate.Gate
	passes sync.Map
}

func (g *withPasses) Enter(ctx context.Context) (gate.Pass, error) {
	p, err := g.Gate.Enter(ctx)
	g.passes.Store(ctx.Value(gate.Gate(g)), p)
	return p, err
}

func compareAdaptive(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	l := &limit.Adaptive{Initial: 1 + r.IntN(4), Max: 5, Queue: r.IntN(6), Target: 5 * time.Second}
	c := &adaptive.Config{Initial: l.Initial, Max: l.Max, Target: l.Target}
	var law adaptive.Limit
	m := &slowConcurrency{most: l.Initial, queue: l.Queue}
	if m.queue > 0 && r.IntN(2) > 0 {
		l.Wait = time.Duration(1+r.IntN(9))*time.Second + time.Millisecond
		m.wait = l.Wait
	}
	g := &withPasses{Gate: l}
	a := &attempts{gate: g, cancels: map[int]context.CancelFunc{}}
	start, limits := time.Now(), map[int]bool{}
	for step := range 600 {
		switch op := r.IntN(8); {
		case op < 4:
			m.enter(step, time.Since(start))
			a.enter(step)
		case op < 7 && len(m.inside) > 0:
			i := r.IntN(len(m.inside))
			pass, _ := g.passes.Load(m.inside[i])
			o := success
			if r.IntN(30) == 0 {
				o = timedOut
			}
			p := pass.(gate.Pass)
			law.Add(c, time.Since(start), adaptive.Sample{
				Latency: clock.Now() - time.Duration(p.A), InFlight: int(p.B),
				Verdict: adaptive.Judge(o),
			})
			m.most = law.Now(c)
			m.leave(i)
			l.Leave(p, o)
		default:
			time.Sleep(time.Duration(r.IntN(3)) * time.Second)
			m.pass(time.Since(start))
		}
		synctest.Wait()
		slices.Sort(m.log)
		if got := a.news(); !slices.Equal(m.log, got) {
			t.Fatalf("step %d of %+v: %q, want %q", step, l.Snapshot(), got, m.log)
		}
		m.log = nil
		s := l.Snapshot()
		if s.InFlight != len(m.inside) || s.Waiting != len(m.waiting) || s.Limit != float64(m.most) {
			t.Fatalf("step %d: %+v, want %d in flight, %d waiting, limit %d",
				step, s, len(m.inside), len(m.waiting), m.most)
		}
		limits[m.most] = true
	}
	if len(limits) < 2 {
		t.Errorf("the limit was always %d", m.most)
	}
	time.Sleep(time.Minute)
	for _, cancel := range a.cancels {
		cancel()
	}
}

// Most samples take no lock, and reach the law later as a sum. The limit is the same as if the law
// got each at once.
func TestAdaptiveFollowsTheBareLaw(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			l := &limit.Adaptive{Initial: 10, Max: 40}
			if seed%2 == 0 {
				l.Target = 20 * ms
			}
			c := &adaptive.Config{Initial: l.Initial, Max: l.Max, Target: l.Target}
			var law adaptive.Limit
			var inside []gate.Pass
			for step := range 20_000 {
				time.Sleep(time.Duration(r.IntN(2)) * ms)
				if p, err := l.Enter(t.Context()); r.IntN(3) > 0 && err == nil {
					inside = append(inside, p)
				} else if err == nil {
					l.Leave(p, skipped)
				}
				if len(inside) == 0 || r.IntN(2) > 0 {
					continue
				}
				i := r.IntN(len(inside))
				p, o := inside[i], success
				if r.IntN(40) == 0 {
					o = timedOut
				}
				inside = slices.Delete(inside, i, i+1)
				if r.IntN(300) == 0 {
					p.A -= uint64(30 * time.Hour)
				}
				law.Add(c, clock.Now(), adaptive.Sample{
					Latency: clock.Now() - time.Duration(p.A), InFlight: int(p.B),
					Verdict: adaptive.Judge(o),
				})
				l.Leave(p, o)
				if s := l.Snapshot(); s.Limit != float64(law.Now(c)) {
					t.Fatalf("seed %d, step %d: limit %v, want %d", seed, step, s.Limit, law.Now(c))
				}
			}
		})
	}
}
