package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/secret"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/lru"
	"github.com/rebound-go/rebound/limit"
)

// ask sends a chat with a key, without a network before the proxy.
func (r *running) ask(key string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", chat, strings.NewReader("{}"))
	req.Host = strings.TrimPrefix(r.url, "http://")
	req.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// crowd asks with so many other keys.
func (r *running) crowd(n int) {
	for i := range n {
		r.ask(fmt.Sprint("other ", i))
	}
}

func (r *running) known() (n int) {
	for range r.Clients() {
		n++
	}
	return n
}

// Any number of credentials takes bounded memory.
func TestForgottenCredentials(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), func(o *Options) { o.Log = nil })
	r.crowd(lru.Max + 100)
	if n := r.known(); n != lru.Max {
		t.Errorf("%d credentials are remembered, want %d", n, lru.Max)
	}
}

// A key with a request under way keeps its limit, however many keys come after it.
func TestKeyInUseIsRemembered(t *testing.T) {
	var now, most atomic.Int64
	entered, release := make(chan bool, 9), make(chan bool)
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if req.Header.Get("Authorization") == "Bearer held" {
			most.Store(max(most.Load(), now.Add(1)))
			entered <- true
			<-release
			now.Add(-1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}), func(o *Options) { o.Log, o.MaxInFlight = nil, 1 })
	var wg sync.WaitGroup
	wg.Go(func() { r.ask("held") })
	<-entered
	for range 3 {
		r.crowd(lru.Max + 100)
		wg.Go(func() { r.ask("held") })
	}
	close(release)
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d requests of one key at a time, want 1", most.Load())
	}
}

// oneAttempt sets a policy of one attempt, which change changes.
func oneAttempt(change func(*rebound.Policy)) func(*Options) {
	return func(o *Options) {
		o.Routes[0].Policy = func() *rebound.Policy {
			p := quick()
			p.Attempts = 1
			change(p)
			return p
		}
	}
}

// gates sets a policy with the gate that g makes.
func gates(g func() gate.Gate) func(*Options) {
	return oneAttempt(func(p *rebound.Policy) { p.Gates = []gate.Gate{g()} })
}

// down is an API that fails for the key "held" alone.
func down(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	w.Header().Set("Content-Type", "application/json")
	if req.Header.Get("Authorization") == "Bearer held" {
		w.WriteHeader(500)
	}
	_, _ = io.WriteString(w, "{}")
}

// A key whose limits hold requests back keeps them, although none is under way.
func TestKeyThatIsHeldBackIsRemembered(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Options)
		want   bool // whether it is remembered
	}{
		{"nothing", oneAttempt(func(p *rebound.Policy) {}), false},
		{"breaker", oneAttempt(func(p *rebound.Policy) {
			p.Breaker = &breaker.Breaker{Failures: 1}
		}), true},
		{"closed breaker", oneAttempt(func(p *rebound.Policy) { p.Breaker = &breaker.Breaker{} }), false},
		{"rate", gates(func() gate.Gate {
			return &limit.Rate{N: 1, Per: 24 * time.Hour, Burst: 9}
		}), true},
		{"rate that is full again", gates(func() gate.Gate {
			return &limit.Rate{N: 1e9, Burst: 1}
		}), false},
		{"throttle", gates(func() gate.Gate { return &limit.Throttle{MinCalls: 1} }), true},
		{"concurrency", gates(func() gate.Gate { return &limit.Concurrency{} }), false},
		{"budget", oneAttempt(func(p *rebound.Policy) {
			p.Attempts, p.Budget = 2, &budget.Budget{Refill: 1e-3}
		}), true},
		{"budget for ever", oneAttempt(func(p *rebound.Policy) {
			p.Attempts, p.Budget = 2, &budget.Budget{Refill: budget.None}
		}), false},
		{"no budget", oneAttempt(func(p *rebound.Policy) {
			p.Attempts, p.Budget = 2, budget.Unlimited
		}), false},
		{"the route's budget", oneAttempt(func(p *rebound.Policy) { p.Attempts = 2 }), false},
		{"quota", func(o *Options) {
			oneAttempt(func(*rebound.Policy) {})(o)
			o.Requests = 0.01 // a minute
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, http.HandlerFunc(down), func(o *Options) {
				o.Log = nil
				row.change(o)
			})
			find := func() any {
				c := r.client(0, secret.Secrets{"held", "", ""})
				defer c.Done()
				return c
			}
			before := find()
			r.ask("held")
			r.crowd(lru.Max + 100)
			if got := find() == before; got != row.want {
				t.Errorf("remembered: %v, want %v", got, row.want)
			}
		})
	}
}
