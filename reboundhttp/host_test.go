package reboundhttp

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

func TestHostsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{Base: play(status(200))}
		if _, err := tr.RoundTrip(request(t, "GET", "")); err != nil { // the first host
			t.Fatal(err)
		}
		h := tr.hosts.add(tr.newHost("indebted.test"))
		if err := h.budget.Take(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 * manyHosts {
			req := request(t, "GET", "")
			req.URL.Host = fmt.Sprintf("host-%d.test", i)
			if _, err := tr.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		tr.hosts.rest.Range(func(any, any) bool { n++; return true })
		if n != tr.hosts.count || n > manyHosts {
			t.Errorf("%d hosts known, counted as %d, want at most %d", n, tr.hosts.count, manyHosts)
		}
		if tr.hosts.find("indebted.test") != h {
			t.Error("a host with an empty budget was forgotten")
		}
	})
}

// TestHostsAreBounded: a crawler visits 30,000 hosts, of which some are down for ever.
func TestHostsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy *rebound.Policy
		down   int // one host in so many
		most   int
	}{
		"budget of each host":  {&rebound.Policy{}, 5, maxHosts},
		"budget of the policy": {&rebound.Policy{Budget: &budget.Budget{Capacity: 10}}, 5, 2 * manyHosts},
		"no budget":            {&rebound.Policy{Budget: budget.Unlimited}, 5, 2 * manyHosts},
		"unlimited attempts":   {&rebound.Policy{Attempts: rebound.Unlimited}, 30001, 2 * manyHosts},
		"all down":             {&rebound.Policy{}, 1, maxHosts},
	} {
		p := tt.policy
		p.Backoff = backoff.Constant(0)
		tr := &Transport{Policy: p}
		for i := range 30000 {
			req := request(t, "GET", "")
			req.URL.Host = fmt.Sprintf("host-%d.test", i)
			tr.Base = play(status(200))
			if (i+1)%tt.down == 0 {
				tr.Base = play(status(500))
			}
			if _, err := tr.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}
		kept := len(maps.Collect(tr.Budgets()))
		if kept > tt.most+1 || kept != tr.hosts.count+1 {
			t.Errorf("%s: %d hosts kept, counted as %d, want at most %d",
				name, kept, tr.hosts.count+1, tt.most+1)
		}
	}
}

func TestBudgets(t *testing.T) {
	tr := &Transport{Base: play(status(500)), Policy: &rebound.Policy{Backoff: backoff.Constant(0)}}
	for range tr.Budgets() {
		t.Error("a Transport that sent nothing has a budget")
	}
	for _, name := range []string{"a.test", "b.test"} {
		req := request(t, "GET", "")
		req.URL.Host = name
		if _, err := tr.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	got := maps.Collect(tr.Budgets())
	if len(got) != 2 || got["a.test"] == nil || got["b.test"] == nil {
		t.Fatalf("the budgets are %v, want those of a.test and b.test", got)
	}
	for name, b := range got {
		if b.Level() > b.Size()-1.5 { // time refills it
			t.Errorf("%s has %v of %v after two retries", name, b.Level(), b.Size())
		}
	}
	for range tr.Budgets() {
		break // and no panic
	}
}

// For a moment after a connection was closed, requests get connections of their own.
func TestLeaveAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		if h.leave() {
			t.Error("a new host has no connection to leave")
		}
		h.closed.Store(time.Now().UnixNano())
		for _, row := range []struct {
			after time.Duration
			want  bool
		}{{0, true}, {9 * time.Millisecond, true}, {time.Millisecond, false}, {0, false}} {
			if time.Sleep(row.after); h.leave() != row.want {
				t.Errorf("%v later: want %v", row.after, row.want)
			}
		}
		if h.closed.Load() != 0 {
			t.Error("the moment has no end")
		}
		h.closed.Store(time.Now().Add(time.Hour).UnixNano()) // the clock was set back
		if h.leave() {
			t.Error("a moment in the future")
		}
		h.stuck.Store(true)
		if !h.leave() || h.leave() {
			t.Error("a connection that others use is left once")
		}
	})
}
