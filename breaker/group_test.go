package breaker_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

func remembered(g *breaker.Group[string]) []string {
	return slices.Sorted(maps.Keys(maps.Collect(g.All())))
}

func expectKeys(t *testing.T, g *breaker.Group[string], want ...string) {
	t.Helper()
	if got := remembered(g); !slices.Equal(got, want) {
		t.Errorf("the group remembers %q, want %q", got, want)
	}
}

func TestGroupKeepsKeysApart(t *testing.T) {
	g := &breaker.Group[string]{Template: breaker.Breaker{Name: "api", Failures: 2}}
	fail(g.For("a"), 2)
	fail(g.For("b"), 1)
	succeed(g.For("c"), 1)
	for key, want := range map[string]breaker.State{
		"a": breaker.Open, "b": breaker.Closed, "c": breaker.Closed, "d": breaker.Closed,
	} {
		s := g.For(key).Snapshot()
		if g.For(key).State() != want || s.State != want || s.Name != "api/"+key {
			t.Errorf("%s: got state %v, snapshot %+v, want %v", key, g.For(key).State(), s, want)
		}
	}
	_, err := g.For("a").Enter(t.Context())
	if want := "breaker api/a is open for another 1m0s (failures in a row: status 503)"; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	unnamed := new(breaker.Group[int])
	if got := unnamed.For(7).Snapshot().Name; got != "7" {
		t.Errorf("got name %q, want 7", got)
	}
	if !call(unnamed.For(7), success) {
		t.Errorf("a zero Group rejects")
	}
}

// TestGroupRemembersLittle: the group holds failed keys as long as the failures matter, and no
// others.
func TestGroupRemembersLittle(t *testing.T) {
	g := &breaker.Group[string]{Template: breaker.Breaker{Failures: 3}}
	succeed(g.For("healthy"), 3)
	call(g.For("limited"), outcomes["limited"])
	expectKeys(t, g)
	fail(g.For("flaky"), 2)
	expectKeys(t, g, "flaky")
	succeed(g.For("flaky"), 1)
	expectKeys(t, g)
	fail(g.For("flaky"), 2)
	if got := g.For("flaky").State(); got != breaker.Closed {
		t.Errorf("state %v after two failures, a success and two failures, want closed", got)
	}
	fail(g.For("flaky"), 1)
	if got := g.For("flaky").State(); got != breaker.Open {
		t.Errorf("state %v after three failures in a row, want open", got)
	}
	g.For("forced").ForceClose()
	g.For("new").Reset()
	expectKeys(t, g, "flaky", "forced", "new")
}

func TestGroupForgetsTheIdle(t *testing.T) {
	for name, template := range map[string]func() *breaker.Group[string]{
		"failures in a row": func() *breaker.Group[string] {
			return &breaker.Group[string]{Template: breaker.Breaker{Failures: 2, Cooldown: time.Second}}
		},
		"rate": func() *breaker.Group[string] {
			return &breaker.Group[string]{Template: breaker.Breaker{
				Rate: 0.5, MinCalls: 2, Cooldown: time.Second,
			}}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { idle(t, template()) }) })
	}
}

func idle(t *testing.T, g *breaker.Group[string]) {
	fail(g.For("open"), 2)
	fail(g.For("half"), 2)
	fail(g.For("closed"), 2)
	g.For("forced open").ForceOpen()
	g.For("forced closed").ForceClose()
	time.Sleep(time.Second)
	succeed(g.For("closed"), 1)
	g.For("half").Enter(t.Context())
	fail(g.For("failed once"), 1)
	expectKeys(t, g, "closed", "failed once", "forced closed", "forced open", "half", "open")
	time.Sleep(5 * time.Minute)
	fail(g.For("failed once"), 1)
	g.For("failed once").Reset()
	time.Sleep(6 * time.Minute)
	fail(g.For("new"), 1) // a new key gives back the memory of old ones
	expectKeys(t, g, "failed once", "forced closed", "forced open", "half", "new", "open")
	time.Sleep(24 * time.Hour)
	expectKeys(t, g, "forced closed", "forced open", "half", "open")
	for key, want := range map[string]breaker.State{
		"open": breaker.HalfOpen, "half": breaker.HalfOpen, "forced open": breaker.Open,
	} {
		if got := g.For(key).State(); got != want {
			t.Errorf("%s a day later: %v, want %v", key, got, want)
		}
		g.For(key).Reset()
	}
	g.For("forced closed").Reset()
	time.Sleep(11 * time.Minute)
	expectKeys(t, g)
}

// TestGroupWindowOutlivesIdle: the group does not forget what Window still holds.
func TestGroupWindowOutlivesIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &breaker.Group[string]{Idle: time.Minute, Template: breaker.Breaker{
			Rate: 0.5, MinCalls: 2, Window: time.Hour,
		}}
		fail(g.For("a"), 1)
		time.Sleep(50 * time.Minute)
		expectKeys(t, g, "a")
		fail(g.For("a"), 1)
		if got := g.For("a").State(); got != breaker.Open {
			t.Errorf("state %v after two failures in an hour, want open", got)
		}
	})
}

// TestGroupStaleResults ends calls after their key was forgotten: those that began before its last
// change of state stay without effect, those that did not count.
func TestGroupStaleResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &breaker.Group[string]{Template: breaker.Breaker{Failures: 1}}
		k := g.For("a")
		stale, _ := k.Enter(t.Context())
		fail(k, 1)
		k.Reset()
		late, _ := k.Enter(t.Context())
		time.Sleep(time.Hour)
		expectKeys(t, g)
		later, _ := k.Enter(t.Context())
		k.Leave(stale, failure)
		if got := k.State(); got != breaker.Closed {
			t.Errorf("state %v after a result from before the reset, want closed", got)
		}
		k.Leave(late, failure)
		if got := k.State(); got != breaker.Open {
			t.Errorf("state %v after the failure of a call under way, want open", got)
		}
		k.Leave(later, success)
		if got := k.State(); got != breaker.Open {
			t.Errorf("state %v after a result from before the opening, want open", got)
		}
	})
}

func TestGroupUnknownKeyIsNotStale(t *testing.T) {
	g := &breaker.Group[string]{Template: breaker.Breaker{Failures: 2}}
	p, _ := g.For("a").Enter(t.Context())
	fail(g.For("b"), 2) // a change of another key
	q, _ := g.For("a").Enter(t.Context())
	g.For("a").Leave(p, failure)
	g.For("a").Leave(q, failure)
	if got := g.For("a").State(); got != breaker.Open {
		t.Errorf("state %v after two failures, want open", got)
	}
}

func TestGroupChanges(t *testing.T) {
	var got []string
	g := &breaker.Group[int]{Template: breaker.Breaker{Failures: 1, OnChange: func(c breaker.Change) {
		got = append(got, c.Name+" "+c.To.String())
	}}}
	fail(g.For(1), 1)
	g.For(2).ForceOpen()
	g.For(1).ForceHalfOpen()
	want := []string{"1 open", "2 open", "1 half-open"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGroupAllStops(t *testing.T) {
	g := new(breaker.Group[string])
	for i := range 10 {
		fail(g.For(strconv.Itoa(i)), 1)
	}
	n := 0
	for key, s := range g.All() {
		if s.Name != key || s.Failures != 1 {
			t.Errorf("key %q has snapshot %+v", key, s)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("went through %d breakers, want 3", n)
	}
}

func TestGroupValidate(t *testing.T) {
	g := &breaker.Group[string]{Idle: -1}
	want := "breaker: Idle is -1ns: it must be 0 (for 10m0s) or more"
	if err := g.Validate(); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
	if err := (&breaker.Group[string]{Template: breaker.Breaker{Probes: -1}}).Validate(); err == nil {
		t.Errorf("a template with Probes -1 is valid")
	}
	if err := new(breaker.Group[string]).Validate(); err != nil {
		t.Errorf("a zero Group is invalid: %v", err)
	}
}

// The result of a call is lost if its key is forgotten when the call ends, and another key has
// opened, closed and been forgotten in the meantime. Passes of that key may be as old, and must not
// count. Only such calls are lost. The key's next failures count.
func TestWhatAForgottenKeyTakesAlong(t *testing.T) {
	for _, failed := range []bool{false, true} { // before, and then forgotten
		for _, other := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				g := &breaker.Group[string]{
					Template: breaker.Breaker{Failures: 2}, Idle: time.Minute,
				}
				a, b := g.For("a"), g.For("b")
				if failed {
					fail(a, 1)
				}
				first, _ := a.Enter(t.Context())
				second, _ := a.Enter(t.Context())
				if failed {
					succeed(a, 1)
				}
				if other {
					fail(b, 2)
					b.Reset()
				}
				<-time.After(time.Hour)
				expectKeys(t, g)
				a.Leave(first, failure)
				a.Leave(second, failure)
				if opened := a.State() == breaker.Open; opened == other {
					t.Errorf("failed before %v, other key %v: two results left the breaker %v",
						failed, other, a.State())
				}
				fail(a, 2)
				if a.State() != breaker.Open {
					t.Errorf("two failures left the breaker %v", a.State())
				}
			})
		}
	}
}
