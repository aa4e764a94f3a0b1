package bench

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
)

// each calls f for every entry, under a name such as retry_ok/rebound.
func each(f func(s Scenario, e Entry)) {
	for _, s := range Scenarios {
		for _, e := range Entries(s.Name) {
			f(s, e)
		}
	}
}

// Every entry makes the calls that its scenario names, and returns their result.
func TestEntriesDoTheirJob(t *testing.T) {
	counting = true
	defer func() { counting = false }()
	each(func(s Scenario, e Entry) {
		switch {
		case e.Op != nil:
			t.Run(s.Name+"/"+e.Lib, func(t *testing.T) { testOp(t, s, e) })
		case e.HTTP != nil:
			t.Run(s.Name+"/"+e.Lib, func(t *testing.T) { testHTTP(t, s, e) })
		}
	})
}

func testOp(t *testing.T, s Scenario, e Entry) {
	op := e.Op()
	for id := 1000; id < 1010; id++ {
		calls.Store(0)
		v, err := op(context.Background(), id)
		if (err != nil) != s.Fails {
			t.Fatalf("error %v, want one: %t", err, s.Fails)
		}
		if n := int(calls.Load()); s.Calls >= 0 && n != s.Calls {
			t.Fatalf("%d calls, want %d", n, s.Calls)
		}
		if s.Calls > 0 && v != id+1 {
			t.Fatalf("result %d, want %d", v, id+1)
		}
	}
}

func testHTTP(t *testing.T, s Scenario, e Entry) {
	where := newTarget(s.Name)
	defer where.close()
	do := e.HTTP(where.transport)
	for range 20 {
		before := where.hits()
		if err := get(context.Background(), do, where.url); err != nil {
			t.Fatal(err)
		}
		if n := where.hits() - before; int(n) != s.Calls {
			t.Fatalf("%d requests, want %d", n, s.Calls)
		}
	}
	if n := where.conns(); n > 1 && e.Kind == Ours {
		t.Errorf("%d connections for 20 calls, want 1: bodies were left open", n)
	} else if n > 1 {
		t.Logf("%d connections for 20 calls: bodies were left open", n)
	}
}

// Every scenario that is not about the machine has an entry of rebound, a floor and a peer.
func TestScenariosAreComparisons(t *testing.T) {
	for _, s := range Scenarios {
		var kinds []Kind
		for _, e := range Entries(s.Name) {
			kinds = append(kinds, e.Kind)
		}
		if slices.Contains([]string{"harness", "parts", "parts_shared"}, s.Name) {
			continue
		}
		for _, k := range []Kind{Floor, Peer, Ours} {
			if !slices.Contains(kinds, k) {
				t.Errorf("%s has no entry of kind %d: %v", s.Name, k, kinds)
			}
		}
	}
}

func TestEntriesBelongToScenarios(t *testing.T) {
	names := map[string]bool{}
	each(func(s Scenario, e Entry) {
		name := s.Name + "/" + e.Lib
		if names[name] {
			t.Errorf("%s: two entries of that name", name)
		}
		names[name] = true
	})
	if want := len(entries()); len(names) != want {
		t.Errorf("%d of %d entries are of a known scenario", len(names), want)
	}
}

// A call that succeeds allocates nothing in rebound, even after failures. A policy with MaxElapsed
// allocates its context.
func TestOursAllocatesNothing(t *testing.T) {
	free := []string{"retry_ok", "retry_2fail", "delay", "breaker_closed",
		"breaker_window", "breaker_keyed", "budget_ok", "budget_debt", "budget_take",
		"limit_concurrency", "limit_rate", "limit_adaptive", "limit_throttle"}
	each(func(s Scenario, e Entry) {
		if e.Kind != Ours || !slices.Contains(free, s.Name) || e.Lib == "rebound+elapsed" {
			return
		}
		op, ctx := e.Op(), context.Background()
		if n := testing.AllocsPerRun(100, func() { _, _ = op(ctx, 1) }); n != 0 {
			t.Errorf("%s/%s: %v allocations, want 0", s.Name, e.Lib, n)
		}
	})
}

// BenchmarkEntries measures each entry in one goroutine. Under the name "cores" it uses as many
// goroutines as -cpu.
func BenchmarkEntries(b *testing.B) {
	each(func(s Scenario, e Entry) {
		if e.Held != nil {
			return
		}
		b.Run(s.Name+"/"+e.Lib, func(b *testing.B) { Serial(b, s, e) })
		if s.Cores {
			b.Run(s.Name+"/"+e.Lib+"/cores", func(b *testing.B) { Parallel(b, s, e) })
		}
	})
}

// The table has a version for every library that it compares.
func TestModules(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	each(func(_ Scenario, e Entry) {
		if e.Kind != Peer {
			return
		}
		for lib := range strings.FieldsFuncSeq(e.Lib, func(r rune) bool { return r == '+' }) {
			name := lib
			if Modules[name] == "" {
				name, _, _ = strings.Cut(lib, "-")
			}
			used[name] = true
			if !slices.Contains([]string{"ctx", "budget", "drain", "quantile"}, lib) &&
				(Modules[name] == "" || !strings.Contains(string(mod), Modules[name]+" v")) {
				t.Errorf("%s: no module for %q, or not in go.mod: %q", e.Lib, name, Modules[name])
			}
		}
	})
	for name := range Modules {
		if !used[name] && name != "x/time/rate" {
			t.Errorf("no entry is of %s", name)
		}
	}
}
