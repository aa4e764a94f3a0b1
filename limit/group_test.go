package limit

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// collect lets the garbage collector find what has no reference.
func collect() {
	runtime.GC()
	runtime.GC()
}

func TestGroupTemplates(t *testing.T) {
	full := Group[string, Concurrency]{
		Template: Concurrency{Name: "api", Max: 2, Queue: 3, Wait: time.Second},
	}
	c := full.For("eu")
	if c.Name != "api/eu" || c.Max != 2 || c.Queue != 3 || c.Wait != time.Second {
		t.Errorf("%+v", c)
	}
	rates := Group[int, Rate]{Template: Rate{N: 2, Per: time.Minute, Burst: 3, Wait: time.Second}}
	r := rates.For(7)
	if r.Name != "7" || r.N != 2 || r.Per != time.Minute || r.Burst != 3 || r.Wait != time.Second {
		t.Errorf("%+v", r)
	}
	if rates.For(7) != r || rates.For(8) == r {
		t.Error("want one limit for each key")
	}
	adaptives := Group[string, Adaptive]{Template: Adaptive{Initial: 3, Min: 2, Max: 4, Queue: 5,
		Wait: time.Second, Target: time.Minute, OnChange: func(Change) {}}}
	a := adaptives.For("eu")
	if a.Name != "eu" || a.Initial != 3 || a.Min != 2 || a.Max != 4 || a.Queue != 5 ||
		a.Wait != time.Second || a.Target != time.Minute || a.OnChange == nil {
		t.Errorf("%+v", a)
	}
	throttles := Group[string, Throttle]{Template: Throttle{K: 3, Window: time.Hour, MinCalls: 2}}
	th := throttles.For("eu")
	if th.Name != "eu" || th.K != 3 || th.Window != time.Hour || th.MinCalls != 2 {
		t.Errorf("%+v", th)
	}
	var zero Group[string, Concurrency]
	if got := zero.For("a").Snapshot().Limit; got != 100 {
		t.Errorf("limit %v of a zero group, want 100", got)
	}
}

func TestGroupValidate(t *testing.T) {
	for want, err := range map[string]error{
		"": (&Group[int, Rate]{}).Validate(),
		"limit.Group: Idle is -1s": (&Group[int, Rate]{Idle: -time.Second}).
			Validate(),
		"limit.Rate: Burst is -1": (&Group[int, Rate]{Template: Rate{Burst: -1}}).Validate(),
		"limit.Concurrency api: Max is -1": (&Group[int, Concurrency]{
			Template: Concurrency{Name: "api", Max: -1}}).Validate(),
	} {
		if (want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Sweeps keep a limit that has a reference or an attempt under way.
func TestGroupKeepsWhatIsInUse(t *testing.T) {
	g := Group[string, Concurrency]{Template: Concurrency{Max: 1}, Idle: 1}
	held := g.For("held")
	var pass gate.Pass
	var leave func()
	func() {
		c := g.For("under way")
		pass, _ = c.Enter(t.Context())
		leave = func() { c.Leave(pass, gate.Outcome{}) }
	}()
	for range 3 {
		g.sweep(true)
		collect()
	}
	if g.For("held") != held {
		t.Error("the key of a limit with a reference has got another limit")
	}
	if _, err := g.For("under way").Enter(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("with one of one under way: %v, want ErrFull", err)
	}
	leave()
	runtime.KeepAlive(held)
}

func TestGroupForgets(t *testing.T) {
	g := Group[int, Concurrency]{Template: Concurrency{Max: 1}}
	for i := range 100 {
		c := g.For(i)
		pass, _ := c.Enter(t.Context())
		c.Leave(pass, gate.Outcome{})
	}
	g.sweep(false)
	collect()
	g.sweep(false)
	if n := g.count.Load(); n != 100 {
		t.Errorf("%d kept before they are idle, want 100", n)
	}
	g.For(7)
	g.sweep(true)
	collect()
	g.sweep(true)
	if n := g.count.Load(); n != 1 || g.For(7).Name != "7" {
		t.Errorf("%d kept of many, want the one used since the last sweep", n)
	}
}

// A learned limit is kept until it is idle.
func TestGroupRemembersWhatWasLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := gate.Outcome{Fault: fault.Fault{Kind: fault.Overloaded}}
		adaptives := Group[string, Adaptive]{}
		throttles := Group[string, Throttle]{}
		func() {
			a, th := adaptives.For("a"), throttles.For("a")
			for range 200 {
				if pass, err := a.Enter(t.Context()); err == nil {
					time.Sleep(time.Second)
					a.Leave(pass, dropped)
				}
				th.Leave(gate.Pass{}, dropped)
			}
		}()
		limits := func() (low, shed bool) {
			adaptives.sweep(true)
			throttles.sweep(true)
			collect()
			return adaptives.For("a").Snapshot().Limit < 20, throttles.For("a").Snapshot().Limit < 1
		}
		for range 3 {
			if low, shed := limits(); !low || !shed {
				t.Errorf("a lower limit: %t, a share rejected: %t, want both", low, shed)
			}
		}
		time.Sleep(time.Hour)
		limits() // sees the use before
		time.Sleep(time.Hour)
		for range 2 {
			adaptives.sweep(false)
			throttles.sweep(false)
			collect()
		}
		if n := adaptives.count.Load() + throttles.count.Load(); n != 2 {
			t.Errorf("%d remembered, want those used last", n)
		}
		time.Sleep(time.Hour)
		for range 2 {
			adaptives.sweep(false)
			throttles.sweep(false)
			collect()
		}
		if n := adaptives.count.Load() + throttles.count.Load(); n != 0 {
			t.Errorf("%d remembered when idle, want none", n)
		}
	})
}

func TestGroupIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group[string, Concurrency]{Idle: time.Minute}
		keys := func() (keys []string) {
			collect()
			for key, s := range g.All() {
				if s.Name != key || s.Kind != "concurrency" {
					t.Errorf("key %s: %+v", key, s)
				}
				keys = append(keys, key)
			}
			slices.Sort(keys)
			return keys
		}
		g.For("a")
		g.For("b")
		for range 5 {
			time.Sleep(50 * time.Second)
			g.For("a")
			for range g.All() {
				break
			}
		}
		if got := fmt.Sprint(keys()); got != "[a]" {
			t.Errorf("%s kept, want a, which is used all the time", got)
		}
		time.Sleep(59 * time.Second)
		if got := fmt.Sprint(keys()); got != "[a]" {
			t.Errorf("%s remembered after 59 s, want a", got)
		}
		time.Sleep(time.Second)
		keys()
		if got := fmt.Sprint(keys()); got != "[]" {
			t.Errorf("%s remembered after 60 s, want none", got)
		}
	})
}

// A new key gets the memory of the old ones, without a call of All.
func TestGroupNewKeyForgetsIdleOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int, Rate]
		for i := range 10 {
			g.For(i)
		}
		for i := range 3 {
			time.Sleep(time.Hour)
			g.For(10 + i)
			collect()
		}
		if n := g.count.Load(); n > 2 {
			t.Errorf("%d kept, want at most the last two", n)
		}
	})
}

// A debt is kept without a reference to the limit, but only as long as it lasts.
func TestGroupRemembersDebts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group[string, Rate]{Template: Rate{N: 1, Per: time.Hour}}
		take := func() error { return g.For("a").Take(t.Context(), 1) }
		if err := take(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(19 * time.Minute)
			g.sweep(true)
			collect()
			if err := take(); !errors.Is(err, ErrRate) {
				t.Errorf("%v, want ErrRate", err)
			}
		}
		time.Sleep(3 * time.Minute)
		for range 3 {
			g.sweep(true)
			collect()
		}
		if n := g.count.Load(); n != 0 {
			t.Errorf("%d remembered, want 0", n)
		}
	})
}

// Code that holds a limit for long may use it after the group has dropped it. The group then keeps
// the limit's state.
func TestGroupWakes(t *testing.T) {
	for name, use := range map[string]func(*Rate){
		"Take":  func(r *Rate) { _ = r.Take(t.Context(), 1) },
		"Debit": func(r *Rate) { r.Debit(1) },
		"Learn": func(r *Rate) { r.Learn(0, time.Hour) },
	} {
		for _, n := range []float64{1, 0} {
			if n == 0 && name != "Learn" {
				continue // a Rate without a limit has no debts
			}
			g := Group[string, Rate]{Template: Rate{N: n, Per: time.Hour}}
			func() {
				r := g.For("a")
				for range 2 {
					g.sweep(true)
					if s := r.Snapshot(); s.Level != n || r.Refusal(0) != nil {
						t.Errorf("asleep: %+v, want a full bucket", s)
					}
				}
				use(r)
			}()
			for range 3 {
				collect()
				g.sweep(true)
			}
			if err := g.For("a").Take(t.Context(), 1); !errors.Is(err, ErrRate) {
				t.Errorf("%s, N %v: %v after the holder has gone, want ErrRate", name, n, err)
			}
		}
	}
}

// A million keys, one after the other, take the memory of some thousands.
func TestGroupIsBounded(t *testing.T) {
	keys := 1_000_000
	if testing.Short() || raceEnabled() {
		keys /= 20
	}
	rates := Group[int, Rate]{Template: Rate{N: 1e9}}
	places := Group[int, Concurrency]{}
	for i := range keys / 2 {
		if err := rates.For(i).Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		c := places.For(i)
		pass, err := c.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.Leave(pass, gate.Outcome{})
		if i%5000 == 0 {
			runtime.GC()
		}
		const bound = 15_000
		if r, p := rates.count.Load(), places.count.Load(); r > bound || p > bound {
			t.Fatalf("after %d keys the groups remember %d and %d", i, r, p)
		}
	}
}

func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Whatever is swept and collected meanwhile, all users of a key share one limit.
func TestGroupRace(t *testing.T) {
	const keys = 3
	places := Group[int, Concurrency]{Template: Concurrency{Max: 1, Queue: 100}, Idle: 1}
	rates := Group[int, Rate]{Template: Rate{N: 1, Per: 1000 * time.Hour, Burst: 50}, Idle: 1}
	var inside, taken [keys]atomic.Int64
	var users, sweeper sync.WaitGroup
	var done atomic.Bool
	sweeper.Go(func() {
		for i := 0; !done.Load(); i++ {
			places.sweep(i%2 == 0)
			rates.sweep(i%2 == 0)
			for range rates.All() {
			}
			runtime.GC()
		}
	})
	for i := range 8 {
		users.Go(func() {
			for n := range 10_000 {
				key := (i + n) % keys
				c := places.For(key)
				pass, err := c.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if now := inside[key].Add(1); now > 1 {
					t.Errorf("%d inside, want 1", now)
				}
				inside[key].Add(-1)
				c.Leave(pass, gate.Outcome{})
				if rates.For(key).Take(t.Context(), 1) == nil {
					taken[key].Add(1)
				}
			}
		})
	}
	users.Wait()
	done.Store(true)
	sweeper.Wait()
	for key := range taken {
		if n := taken[key].Load(); n != 50 {
			t.Errorf("key %d: %d tokens taken, want the 50 of its bucket", key, n)
		}
	}
}

// A limit that is used again after the group has dropped it is kept again.
func TestGroupRemembersAgain(t *testing.T) {
	g := Group[string, Throttle]{Template: Throttle{MinCalls: 1}}
	func() {
		held := g.For("a")
		g.sweep(true)
		for range 100 {
			g.For("a").Leave(gate.Pass{}, gate.Outcome{Fault: fault.Fault{Kind: fault.Overloaded}})
		}
		runtime.KeepAlive(held)
	}()
	collect()
	if s := g.For("a").Snapshot(); s.Limit == 1 {
		t.Error("a limit learned after the drop is lost")
	}
}

func TestGroupCountsKeys(t *testing.T) {
	var g Group[int, Concurrency]
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for key := range 1000 {
				g.For(key)
			}
		})
	}
	users.Wait()
	if n := g.count.Load(); n != 1000 {
		t.Errorf("%d remembered, want 1000", n)
	}
}
