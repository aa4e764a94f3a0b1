package reboundhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/internal/httppolicy"
	"github.com/rebound-go/rebound/limit"
)

const ms = time.Millisecond

// after answers as s does, after d or when the request's context ends.
func after(d time.Duration, s step) step {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return s(req)
		case <-req.Context().Done():
			return nil, context.Cause(req.Context())
		}
	}
}

// stubborn answers as s does after d, and ignores the request's context.
func stubborn(d time.Duration, s step) step {
	return func(req *http.Request) (*http.Response, error) {
		<-time.After(d)
		return s(req)
	}
}

// after100 is a hedge after 100 ms that has seen enough calls to allow some more.
func after100(most int) *hedge.Hedge {
	h := &hedge.Hedge{After: 100 * ms, Max: most}
	for range 100 {
		_, _ = hedge.Do(context.Background(), h,
			func(context.Context) (int, error) { return 0, nil }, nil)
	}
	return h
}

var hedgedCalls = []struct {
	name  string
	most  int // hedges
	steps []step

	outcome string
	sent    int
	at      time.Duration // 0 = not fixed
	call    Call          // without Err
}{
	{"first answers in time", 1, []step{after(99*ms, status(200))}, "200", 1, 99 * ms,
		Call{Attempts: 1}},
	{"first answers later", 1, []step{after(150*ms, status(200)), hangs}, "200", 2, 150 * ms,
		Call{Attempts: 2, Hedges: 1}},
	{"second answers", 1, []step{hangs, after(20*ms, status(200))}, "200", 2, 120 * ms,
		Call{Attempts: 2, Hedges: 1, HedgeWon: true}},
	{"third answers", 2, []step{hangs, hangs, after(20*ms, status(201))}, "201", 3, 220 * ms,
		Call{Attempts: 3, Hedges: 2, HedgeWon: true}},
	{"both answer", 1, []step{stubborn(200*ms, status(200)), after(50*ms, status(204))}, "204", 2,
		200 * ms, Call{Attempts: 2, Hedges: 1, HedgeWon: true}},
	{"a bad status does not win", 1, []step{after(300*ms, status(200)), after(10*ms, status(500))},
		"200", 2, 300 * ms, Call{Attempts: 2, Hedges: 1}},
	{"nor one of the first", 1, []step{after(110*ms, status(404)), after(50*ms, status(200))},
		"200", 2, 150 * ms, Call{Attempts: 2, Hedges: 1, HedgeWon: true}},
	{"nor an error", 1, []step{after(300*ms, status(200)), after(10*ms, fails(io.EOF))}, "200", 2,
		300 * ms, Call{Attempts: 2, Hedges: 1}},
	{"all are bad", 1, []step{after(110*ms, status(404)), after(50*ms, status(400))}, "404", 2,
		150 * ms, Call{Attempts: 2, Hedges: 1}},
	{"a failure in time is retried, not hedged", 1, []step{after(10*ms, status(500)),
		after(10*ms, status(200))}, "200", 2, 1020 * ms,
		Call{Attempts: 2, Waits: []time.Duration{time.Second}}},
	{"each attempt is hedged", 1, []step{after(120*ms, status(500)), after(30*ms, status(502)),
		hangs, after(10*ms, status(200))}, "200", 4, 1240 * ms,
		Call{Attempts: 4, Hedges: 2, HedgeWon: true, Waits: []time.Duration{time.Second}}},
	{"not after a 429", 1, []step{after(10*ms, status(429, "Retry-After", "1")),
		after(500*ms, status(200))}, "200", 2, 0,
		Call{Attempts: 2, Waits: []time.Duration{time.Second}}},
	{"not after a 503 that says when", 2, []step{after(300*ms, status(200)),
		after(10*ms, status(503, "Retry-After", "1"))}, "200", 2, 300 * ms,
		Call{Attempts: 2, Hedges: 1}},
	{"another connection after 421", 1, []step{after(10*ms, status(421)), after(10*ms, status(200))},
		"200", 2, 1020 * ms, Call{Attempts: 2, Waits: []time.Duration{time.Second}}},
}

// Each row is one request with a hedge after 100 ms, to the millisecond.
func TestHedgedCalls(t *testing.T) {
	for _, row := range hedgedCalls {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := play(row.steps...)
				var mu sync.Mutex
				var contexts []context.Context
				alive := func() (n int) {
					for _, ctx := range contexts {
						if ctx.Err() == nil {
							n++
						}
					}
					return n
				}
				p := seconds()
				p.Throttled = p.Backoff
				tr := &Transport{Policy: p, Hedge: after100(row.most)}
				tr.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					contexts = append(contexts, req.Context())
					mu.Unlock()
					return base.RoundTrip(req)
				})
				start := time.Now()
				resp, err := tr.RoundTrip(request(t, "GET", ""))
				if got := outcome(resp, err); got != row.outcome || base.count() != row.sent ||
					row.at > 0 && time.Since(start) != row.at {
					t.Fatalf("%s by %d requests in %v, want %s by %d in %v", got, base.count(),
						time.Since(start), row.outcome, row.sent, row.at)
				}
				if base.open != 1 {
					t.Errorf("%d responses are open, want that of the caller", base.open)
				}
				call := CallOf(resp)
				if call.Attempts != row.call.Attempts || call.Hedges != row.call.Hedges ||
					call.HedgeWon != row.call.HedgeWon || len(call.Waits) != len(row.call.Waits) {
					t.Errorf("CallOf returns %+v, want %+v", call, row.call)
				}
				if (call.Err != nil) != (resp.StatusCode >= 400) {
					t.Errorf("CallOf returns the error %v", call.Err)
				}
				// The context of the winner's request lives until its body is closed.
				time.Sleep(time.Hour)
				if n := alive(); n != 1 {
					t.Errorf("%d contexts are left, want that of the response", n)
				}
				if got := read(t, resp); got != "body of "+row.outcome {
					t.Errorf("the body is %q", got)
				}
				if n := alive(); n != 0 || base.open != 0 {
					t.Errorf("%d contexts are left, and %d responses are open", n, base.open)
				}
			})
		})
	}
}

// The response of the attempt before is closed once, whatever the number of legs.
func TestLegsCloseTheLastResponseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &closing{Reader: strings.NewReader("busy")}
		busy := func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 500, "")
			resp.Body = body
			return resp, nil
		}
		var n atomic.Int32
		steps := []step{busy, hangs, status(200)}
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			return steps[n.Add(1)-1](req)
		})
		tr := &Transport{Base: base, Policy: seconds(), Hedge: after100(1)}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
		if body.closed != 1 {
			t.Errorf("closed %d times", body.closed)
		}
	})
}

// duplex is the connection of a 101.
type duplex struct {
	io.ReadCloser
	strings.Builder
}

// Responses of stubs without a body, and connections that speak another protocol, stay what they
// are.
func TestBodiesOfLegs(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{
		"none":     nil,
		"switched": &duplex{ReadCloser: io.NopCloser(strings.NewReader(""))},
	} {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 101, "")
			resp.Body = body
			return resp, nil
		})
		resp, err := (&Transport{Base: base, Hedge: after100(1)}).RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := resp.Body.(io.Writer); ok != (body != nil) {
			t.Errorf("%s: the body is a %T", name, resp.Body)
		} else if ok {
			_, _ = io.WriteString(w, "hello")
		}
		read(t, resp)
		if d, ok := body.(*duplex); ok && d.String() != "hello" {
			t.Errorf("%q was written", d.String())
		}
	}
}

// Only requests that may be repeated after any failure are hedged.
func TestWhatIsHedged(t *testing.T) {
	keyed := http.Header{"Idempotency-Key": {"k"}}
	for _, row := range []struct {
		name   string
		method string
		header http.Header
		body   string // "", "again" or "once"
		tr     *Transport
		hedged bool
	}{
		{"GET", "GET", nil, "", &Transport{}, true},
		{"PUT", "PUT", nil, "again", &Transport{}, true},
		{"PUT, kept", "PUT", nil, "once", &Transport{}, true},
		{"PUT, too long", "PUT", nil, "once", &Transport{MaxBuffer: 3}, false},
		{"POST", "POST", nil, "again", &Transport{}, false},
		{"POST with a key", "POST", keyed, "again", &Transport{}, true},
		{"POST that is given a key", "POST", nil, "again", &Transport{IdempotencyKeys: true}, true},
		{"POST by decree", "POST", nil, "again",
			&Transport{Idempotent: func(*http.Request) bool { return true }}, true},
		{"GET by a policy that must not", "GET", nil, "",
			&Transport{Policy: &rebound.Policy{NonIdempotent: true}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := play(after(200*ms, status(200)), after(10*ms, status(200)))
				row.tr.Base, row.tr.Hedge = base, after100(1)
				req := request(t, row.method, row.body)
				switch row.body {
				case "":
					req.Body, req.GetBody = nil, nil
				case "once":
					req = once(t, row.method, strings.NewReader("once"))
				}
				req.Header = row.header
				resp, err := row.tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				read(t, resp)
				if call := CallOf(resp); call.HedgeWon != row.hedged {
					t.Errorf("%+v", call)
				}
				for i, sent := range base.sent {
					if sent.body != row.body {
						t.Errorf("request %d has the body %q, want %q", i+1, sent.body, row.body)
					}
					if !slices.Equal(sent.header["Idempotency-Key"],
						base.sent[0].header["Idempotency-Key"]) {
						t.Errorf("request %d has another key", i+1)
					}
				}
				if len(req.Header) != len(row.header) {
					t.Error("the caller's request was changed")
				}
			})
		})
	}
}

// doorkeeper is a gate that counts, and admits only the first n.
type doorkeeper struct {
	room     int
	mu       sync.Mutex
	in       int
	outcomes []gate.Outcome
}

var errFull = errors.New("full")

func (d *doorkeeper) Enter(context.Context) (gate.Pass, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.in >= d.room {
		return gate.Pass{}, errFull
	}
	d.in++
	return gate.Pass{}, nil
}

func (d *doorkeeper) Leave(_ gate.Pass, o gate.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outcomes = append(d.outcomes, o)
}

// guarded returns req with g in front of its attempts: a gate of p, or of the call alone.
func guarded(req *http.Request, g gate.Gate, p *rebound.Policy, alone bool) *http.Request {
	if !alone {
		p.Gates = []gate.Gate{g}
		return req
	}
	call := &httppolicy.Call{Gate: g}
	return req.WithContext(context.WithValue(req.Context(), httppolicy.Key{}, call))
}

// Each leg enters the gates, and one that lost is Canceled.
func TestLegsPassGates(t *testing.T) {
	for _, row := range []struct {
		name     string
		room     int
		steps    []step
		outcome  string
		attempts int
		kinds    []fault.Kind
	}{
		{"first loses", 9, []step{hangs, after(ms, status(200))}, "200", 2,
			[]fault.Kind{fault.Unknown, fault.Canceled}},
		{"second loses", 9, []step{after(150*ms, status(200)), hangs}, "200", 2,
			[]fault.Kind{fault.Unknown, fault.Canceled}},
		{"both fail", 9, []step{after(150*ms, status(404)), after(ms, status(400))}, "404", 2,
			[]fault.Kind{fault.Permanent, fault.Permanent}},
		{"no room for the second", 1, []step{after(150*ms, status(200))}, "200", 1,
			[]fault.Kind{fault.Unknown}},
		{"no room", 0, []step{status(200)}, "rejected", 0, nil},
		{"no room for a retry", 1, []step{status(500)}, "500", 1, []fault.Kind{fault.Transient}},
	} {
		test := func(t *testing.T, alone bool) {
			synctest.Test(t, func(t *testing.T) {
				door := &doorkeeper{room: row.room}
				p := seconds()
				src := &closing{Reader: strings.NewReader("q")}
				req := guarded(once(t, "PUT", src), door, p, alone)
				tr := &Transport{Base: play(row.steps...), Policy: p, Hedge: after100(1)}
				resp, err := tr.RoundTrip(req)
				if got := outcome(resp, err); got != row.outcome {
					t.Errorf("%s, want %s", got, row.outcome)
				}
				var e *rebound.Error
				if err != nil {
					_ = errors.As(err, &e)
				} else {
					_ = errors.As(CallOf(resp).Err, &e)
					read(t, resp)
				}
				if src.closed != 1 {
					t.Errorf("the body was closed %d times", src.closed)
				}
				if rejected := row.room < 2 && row.outcome != "200"; rejected &&
					(e == nil || e.Reason != rebound.Rejected || e.Cause != errFull ||
						e.Attempts != row.attempts) {
					t.Errorf("%#v", e)
				}
				var kinds []fault.Kind
				for _, o := range door.outcomes {
					kinds = append(kinds, o.Fault.Kind)
				}
				slices.Sort(kinds)
				if !slices.Equal(kinds, row.kinds) {
					t.Errorf("the gate has seen %v, want %v", kinds, row.kinds)
				}
			})
		}
		t.Run(row.name, func(t *testing.T) { test(t, false) })
		t.Run(row.name+", gate of the call", func(t *testing.T) { test(t, true) })
	}
}

// slowGate admits after 200 ms.
type slowGate struct{ entered atomic.Int32 }

func (g *slowGate) Enter(context.Context) (gate.Pass, error) {
	g.entered.Add(1)
	<-time.After(200 * ms)
	return gate.Pass{}, nil
}

func (g *slowGate) Leave(gate.Pass, gate.Outcome) {}

// A request that waits in a gate is not hedged: the hedge would wait there as well.
func TestWaitingRequestsAreNotHedged(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g, p := new(slowGate), &rebound.Policy{}
			base := play(after(50*ms, status(200)))
			req := guarded(request(t, "GET", ""), g, p, alone)
			tr := &Transport{Base: base, Policy: p, Hedge: after100(2)}
			start := time.Now()
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			if call := CallOf(resp); base.count() != 1 || g.entered.Load() != 1 || call.Hedges != 0 ||
				time.Since(start) != 250*ms {
				t.Errorf("alone %v: %d requests, %d in the gate, %+v", alone, base.count(),
					g.entered.Load(), call)
			}
		})
	}
}

// A hedge is due when the first request was sent a delay ago. The time in a gate does not count.
func TestHedgeOfARequestThatHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(hangs, after(20*ms, status(200)))
		p := &rebound.Policy{Gates: []gate.Gate{new(slowGate)}}
		h := after100(1)
		start := time.Now()
		tr := &Transport{Base: base, Policy: p, Hedge: h}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
		// 200 ms in the gate, 100 ms until the hedge, 200 ms in the gate, 20 ms.
		if call := CallOf(resp); !call.HedgeWon || time.Since(start) != 520*ms {
			t.Errorf("%+v after %v, want the hedge's response after 520 ms", call, time.Since(start))
		}
		if s := h.Snapshot(); s.Hedges != 1 {
			t.Errorf("%+v, want 1 hedge", s)
		}
	})
}

// Time in a queue does not count as a slow service: only the requests are measured, and those in
// the queue are not hedged.
func TestHedgesAndAQueue(t *testing.T) {
	for _, h := range []*hedge.Hedge{{}, after100(1)} {
		synctest.Test(t, func(t *testing.T) {
			p := &rebound.Policy{Gates: []gate.Gate{&limit.Rate{N: 10, Wait: time.Hour}}}
			tr := &Transport{Base: play(after(50*ms, status(200))), Policy: p, Hedge: h}
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					resp, err := tr.RoundTrip(request(t, "GET", ""))
					if err != nil {
						t.Error(err)
						return
					}
					read(t, resp)
				})
			}
			wg.Wait()
			if s := h.Snapshot(); s.Hedges+s.Denied > 0 || s.Delay < 50*ms || s.Delay > 100*ms {
				t.Errorf("%+v, want no hedges, and the delay of a service that takes 50 ms", s)
			}
		})
	}
}

// A hedge around a client does not affect the hedges of its Transport.
func TestHedgeAroundTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(hangs, after(50*ms, status(200)))
		tr := &Transport{Base: base, Hedge: &hedge.Hedge{}}
		get := func(ctx context.Context) (*http.Response, error) {
			return tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
		}
		resp, err := hedge.Do(t.Context(), after100(1), get, closeResponse)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); base.count() != 2 || base.open != 0 {
			t.Errorf("%d requests, %d responses are open", base.count(), base.open)
		}
	})
}

// Events of a hedged call have the number of its attempt, whether the first one succeeds or not.
func TestHedgedCallsCountAttempts(t *testing.T) {
	for _, failures := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			p := seconds()
			var last rebound.Event
			p.Observe = func(_ context.Context, e rebound.Event) { last = e }
			steps := append(slices.Repeat([]step{status(503)}, failures), status(200))
			tr := &Transport{Base: play(steps...), Policy: p, Hedge: after100(1)}
			resp, err := tr.RoundTrip(request(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			if last.Kind != rebound.Succeeded || last.Attempt != failures+1 {
				t.Errorf("after %d failures the event is %+v", failures, last)
			}
		})
	}
}

// An attempt that lost opens no breaker.
func TestLostLegsOpenNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &breaker.Group[string]{Template: breaker.Breaker{Failures: 1}}
		tr := &Transport{Base: play(hangs, status(200)), Hedge: after100(1), Breakers: g}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
		if s := g.For("example.test").Snapshot(); s.State != breaker.Closed || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A half-open breaker admits only its probes. A hedge takes no probe twice, and a probe that lost
// is returned.
func TestHedgesOfProbes(t *testing.T) {
	for _, row := range []struct {
		name   string
		probes int
		steps  []step // after the failure that opens the breaker
		sent   int
		won    bool
	}{
		{"one probe, no hedge", 1, []step{after(150*ms, status(200))}, 2, false},
		{"two probes, the first answers", 2, []step{after(150*ms, status(200)), hangs}, 3, false},
		{"two probes, the hedge answers", 2, []step{hangs, after(10*ms, status(200))}, 3, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &breaker.Group[string]{Template: breaker.Breaker{
					Failures: 1, Cooldown: time.Second, Probes: row.probes,
				}}
				base := play(append([]step{status(500)}, row.steps...)...)
				p := &rebound.Policy{Attempts: 1}
				tr := &Transport{Base: base, Policy: p, Hedge: after100(1), Breakers: g}
				for range 2 {
					resp, err := tr.RoundTrip(request(t, "GET", ""))
					if err != nil {
						t.Fatal(err)
					}
					read(t, resp)
					if won := CallOf(resp).HedgeWon; resp.StatusCode == 200 && won != row.won {
						t.Errorf("%+v", CallOf(resp))
					}
					time.Sleep(2 * time.Second)
				}
				b := g.For("example.test")
				s := b.Snapshot()
				judged := s.State == breaker.Closed || row.probes == 2 && s.Succeeded == 1
				if base.count() != row.sent || !judged || s.Probing != 0 {
					t.Errorf("%d requests, %+v; want %d, and one probe that succeeded", base.count(), s,
						row.sent)
				}
			})
		})
	}
}

// Each leg has the timeouts of an attempt, and the call has one MaxElapsed.
func TestTimeoutsOfLegs(t *testing.T) {
	for _, row := range []struct {
		name    string
		policy  *rebound.Policy
		first   time.Duration // FirstByteTimeout
		steps   []step
		outcome string
		at      time.Duration
	}{
		{"attempt, first leg", &rebound.Policy{AttemptTimeout: 150 * ms}, 0,
			[]step{hangs, after(130*ms, status(200))}, "200", 230 * ms},
		{"attempt, both legs", &rebound.Policy{AttemptTimeout: 150 * ms, Attempts: 1}, 0,
			[]step{hangs}, "exhausted", 250 * ms},
		{"first byte, both legs", &rebound.Policy{Attempts: 1}, 150 * ms,
			[]step{hangs}, "exhausted", 250 * ms},
		{"in all", &rebound.Policy{MaxElapsed: 200 * ms}, 0, []step{hangs}, "past_elapsed", 200 * ms},
		{"in all, after a retry", &rebound.Policy{MaxElapsed: 1200 * ms}, 0,
			[]step{after(20*ms, status(500)), hangs}, "past_elapsed", 1200 * ms},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := row.policy.Clone()
				p.Backoff = seconds().Backoff
				base := play(row.steps...)
				tr := &Transport{Base: base, Policy: p, FirstByteTimeout: row.first, Hedge: after100(1)}
				start := time.Now()
				resp, err := tr.RoundTrip(request(t, "GET", ""))
				if got := outcome(resp, err); got != row.outcome || time.Since(start) != row.at {
					t.Errorf("%s after %v, want %s after %v: %v", got, time.Since(start), row.outcome,
						row.at, err)
				}
				if err == nil {
					read(t, resp)
				}
				if base.open != 0 {
					t.Errorf("%d responses are open", base.open)
				}
			})
		})
	}
}

// The caller's end ends all legs.
func TestCallerEndsLegs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*ms)
		defer cancel()
		base := play(hangs)
		tr := &Transport{Base: base, Hedge: after100(1)}
		resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
		if got := outcome(resp, err); got != "canceled" || base.count() != 2 {
			t.Errorf("%s after %d requests", got, base.count())
		}
	})
}

// A panic of Base in a hedge continues in the caller, and leaves no response open.
func TestPanicOfALeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(stubborn(300*ms, status(500)),
			after(50*ms, func(*http.Request) (*http.Response, error) { panic("boom") }))
		defer func() {
			if r := recover(); r != "boom" || base.open != 0 {
				t.Errorf("%v, and %d responses are open", r, base.open)
			}
		}()
		_, _ = (&Transport{Base: base, Hedge: after100(1)}).RoundTrip(request(t, "GET", ""))
	})
}

// A hedge that is invalid fails every request before anything is sent.
func TestInvalidHedge(t *testing.T) {
	tr := &Transport{Base: play(status(200)), Hedge: &hedge.Hedge{After: -1}}
	resp, err := tr.RoundTrip(request(t, "GET", ""))
	if got := outcome(resp, err); got != "invalid" ||
		!strings.Contains(err.Error(), "Transport.Hedge") {
		t.Errorf("%s: %v", got, err)
	}
}
