package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

const ms = time.Millisecond

// The tests of this file are small enough to be counted by hand: constant times, clients that all
// begin at once.

func constant(d time.Duration) Dist { return Dist{Mean: d, Shape: Constant} }

func burst(n int) Clients { return Clients{Count: n, Calls: 1, Burst: true} }

// one is a client that gives up attempts after a second.
var one = Clients{Count: 1, Calls: 1, Burst: true, Timeout: time.Second}

var thrice = &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(300 * ms)}

type model struct {
	name    string
	s       Scenario
	p       *rebound.Policy
	want    Counts
	slowest time.Duration // the longest latency
	end     time.Duration
}

var models = []model{
	{
		"a server without limits answers at once",
		Scenario{Clients: burst(7)}, nil,
		Counts{Calls: 7, OK: 7, Attempts: 7}, 0, 0,
	}, {
		"workers take attempts in order",
		Scenario{
			Clients: burst(7), Server: Server{Workers: 3, Service: constant(100 * ms)},
		}, nil,
		Counts{Calls: 7, OK: 7, Attempts: 7}, 300 * ms, 300 * ms,
	}, {
		"the network takes its time",
		Scenario{
			Clients: burst(7), Server: Server{
				Workers: 3, Service: constant(100 * ms), RoundTrip: 50 * ms,
			},
		}, nil,
		Counts{Calls: 7, OK: 7, Attempts: 7}, 350 * ms, 350 * ms,
	}, {
		"a full queue refuses", // 3 served, 2 wait, 2 refused; they come again at 400 ms
		Scenario{
			Clients: burst(7),
			Server:  Server{Workers: 3, Queue: 2, Service: constant(100 * ms)},
		}, &rebound.Policy{Throttled: backoff.Constant(400 * ms)},
		Counts{Calls: 7, OK: 7, Attempts: 9, Retries: 2, Refused: 2}, 500 * ms, 500 * ms,
	}, {
		"crowding slows", // the n-th takes 100·(1 + (n−1)/10) ms
		Scenario{
			Clients: burst(11), Server: Server{Service: constant(100 * ms), Crowding: 0.1},
		}, nil,
		Counts{Calls: 11, OK: 11, Attempts: 11}, 200 * ms, 200 * ms,
	}, {
		"abandoned work is done all the same", // answers at 100, 200, 300 ms; given up at 150
		Scenario{
			Clients: Clients{Count: 3, Calls: 1, Burst: true, Timeout: 150 * ms},
			Server:  Server{Workers: 1, Service: constant(100 * ms)},
		}, &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(0)}, // new ones: 400, 500
		Counts{Calls: 3, OK: 1, Failed: 2, Attempts: 5, Retries: 2, TimedOut: 4},
		100 * ms, 300 * ms,
	}, {
		"unless the server drops it", // the 3rd, due at 200; new ones at 160: 300 and 400
		Scenario{
			Clients: Clients{Count: 3, Calls: 1, Burst: true, Timeout: 160 * ms},
			Server:  Server{Workers: 1, Service: constant(100 * ms), DropExpired: true},
		}, &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(0)},
		Counts{Calls: 3, OK: 2, Failed: 1, Attempts: 5, Retries: 2, TimedOut: 3},
		300 * ms, 320 * ms,
	}, {
		"a black hole swallows",
		Scenario{
			Clients: one,
			Server:  Server{Windows: []Window{{To: 2 * time.Second, BlackHole: 1}}},
		}, thrice, // at 0, 1.3, 2.6
		Counts{Calls: 1, OK: 1, Attempts: 3, Retries: 2, TimedOut: 2},
		2600 * ms, 2600 * ms,
	}, {
		"for ever, without a timeout",
		Scenario{
			Clients: burst(1), Server: Server{Windows: []Window{{To: time.Second, BlackHole: 1}}},
		}, thrice,
		Counts{Calls: 1, Attempts: 1}, 0, 0,
	}, {
		"slowness is that of the moment when work begins", // 50 at 0; the other two take 500
		Scenario{
			Clients: burst(3),
			Server: Server{
				Workers: 1, Service: constant(50 * ms),
				Windows: []Window{{From: 50 * ms, To: 500 * ms, Slow: 10}},
			},
		}, nil,
		Counts{Calls: 3, OK: 3, Attempts: 3}, 600 * ms, 600 * ms,
	}, {
		"an asked wait is a floor", // no jitter: at 0 and at 5 s
		Scenario{
			Clients: burst(4), NoJitter: true,
			Server: Server{Windows: []Window{{
				To: time.Second, Throttle: 1, RetryAfter: 5 * time.Second,
			}}},
		}, thrice,
		Counts{Calls: 4, OK: 4, Attempts: 8, Retries: 4, Throttled: 4},
		5 * time.Second, 5 * time.Second,
	}, {
		"a full queue asks for a delay", // one served at 0, the other two at 2 s: one of them
		Scenario{
			Clients: burst(3), NoJitter: true,
			Server: Server{
				Workers: 1, Queue: -1, Service: constant(100 * ms), RetryAfter: 2 * time.Second,
			},
		}, &rebound.Policy{Attempts: 2},
		Counts{Calls: 3, OK: 2, Failed: 1, Attempts: 5, Retries: 2, Refused: 3},
		2100 * ms, 2100 * ms,
	}, {
		"a 503 asks for a delay",
		Scenario{
			Clients: burst(4), NoJitter: true,
			Server: Server{Windows: []Window{{
				To: time.Second, Unavailable: 1, RetryAfter: 5 * time.Second,
			}}},
		}, thrice,
		Counts{Calls: 4, OK: 4, Attempts: 8, Retries: 4, Refused: 4},
		5 * time.Second, 5 * time.Second,
	}, {
		"a poisoned call fails for ever",
		Scenario{
			Clients: Clients{Count: 3, Calls: 2, Burst: true, Poison: 1},
			Server:  Server{Workers: 3, Service: constant(100 * ms)},
		}, thrice, // 3 attempts and 2 delays
		Counts{Calls: 6, Failed: 6, Attempts: 18, Retries: 12, Errors: 18}, 0, 1800 * ms,
	}, {
		"a deadline ends the call", // at 0, 300, 600; the wait to 900 would pass 800
		Scenario{
			Clients: Clients{Count: 1, Calls: 1, Burst: true, Deadline: 800 * ms},
			Server:  Server{Windows: []Window{{Refuse: 1}}},
		}, &rebound.Policy{Attempts: 9, Backoff: backoff.Constant(300 * ms)},
		Counts{Calls: 1, Failed: 1, Attempts: 3, Retries: 2, Refused: 3}, 0, 600 * ms,
	}, {
		"a deadline ends an attempt",
		Scenario{
			Clients: Clients{Count: 1, Calls: 1, Burst: true, Deadline: 800 * ms},
			Server:  Server{Service: constant(time.Second)},
		}, thrice,
		Counts{Calls: 1, Failed: 1, Attempts: 1, TimedOut: 1}, 0, 800 * ms,
	}, {
		"MaxElapsed cuts the last attempt", // 0 to 400, 700 to 1000
		Scenario{Clients: burst(1), Server: Server{Service: constant(time.Second)}},
		&rebound.Policy{
			Attempts: 3, Backoff: backoff.Constant(300 * ms),
			AttemptTimeout: 400 * ms, MaxElapsed: time.Second,
		},
		Counts{Calls: 1, Failed: 1, Attempts: 2, Retries: 1, TimedOut: 2}, 0, time.Second,
	}, {
		"MaxElapsed alone cuts the last attempt", // 0 to 400, 700 to 1000
		Scenario{Clients: Clients{Count: 1, Calls: 1, Burst: true, Timeout: 400 * ms},
			Server: Server{Service: constant(time.Second)}},
		&rebound.Policy{
			Attempts: 3, Backoff: backoff.Constant(300 * ms), MaxElapsed: time.Second,
		},
		Counts{Calls: 1, Failed: 1, Attempts: 2, Retries: 1, TimedOut: 2}, 0, time.Second,
	}, {
		"MaxElapsed cuts the only attempt",
		Scenario{Clients: burst(1), Server: Server{Windows: []Window{{BlackHole: 1}}}},
		&rebound.Policy{Attempts: 3, MaxElapsed: time.Second},
		Counts{Calls: 1, Failed: 1, Attempts: 1, TimedOut: 1}, 0, time.Second,
	}, {
		"a layer's attempts stay inside those above", // at 0, 300, 600, 900; and that 3 times
		Scenario{
			Clients: one,
			Layers: []Layer{{Mute: true, Policy: &rebound.Policy{
				Attempts: 9, Backoff: backoff.Constant(300 * ms),
			}}},
			Server: Server{Windows: []Window{{Refuse: 1}}},
		}, &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(100 * ms)},
		Counts{Calls: 1, Failed: 1, Attempts: 12, Retries: 11, Refused: 12}, 0, 2900 * ms,
	}, {
		"the end of an attempt cancels what is below", // 0 to 1000, 1300 to 2300, 2600 to 3600
		Scenario{
			Clients: one,
			Layers:  []Layer{{Policy: &rebound.Policy{Attempts: 9}}},
			Server:  Server{Windows: []Window{{BlackHole: 1}}},
		}, thrice,
		Counts{Calls: 1, Failed: 1, Attempts: 3, Retries: 2, TimedOut: 3}, 0, 3600 * ms,
	},
}

func TestModels(t *testing.T) {
	for _, c := range models {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, c.s, c.p)
			if r.Counts != c.want {
				t.Errorf("counts:\ngot  %+v\nwant %+v", r.Counts, c.want)
			}
			near(t, "longest latency", r.Latency.Quantile(1).Seconds(), c.slowest.Seconds(), 0.04)
			if r.End != c.end {
				t.Errorf("end: got %v, want %v", r.End, c.end)
			}
		})
	}
}

// TestBreakerInOutage: five failures open it, and then it admits one probe in each cooldown.
func TestBreakerInOutage(t *testing.T) {
	s := Scenario{
		Duration: 2 * time.Minute,
		Clients:  Clients{Count: 10, Think: constant(100 * ms), Processes: 1},
		Server:   Server{Windows: []Window{{To: time.Minute, Refuse: 1}}},
	}
	once := &rebound.Policy{
		Attempts: 1, Breaker: &breaker.Breaker{Cooldown: 10 * time.Second},
	}
	r := play(t, s, once)
	for i, want := range []struct {
		at       int // the second
		attempts int64
		open     float64
	}{{0, 5, 1}, {5, 0, 1}, {10, 1, 1}, {11, 0, 1}, {20, 1, 1}, {59, 0, 1}, {60, 90, 0}} {
		b := r.Bins[want.at]
		if want.at == 60 {
			// The probe at 60.1 s closes it, and nine rounds of ten calls follow.
			if b.Attempts < 80 || b.Open != 0 {
				t.Errorf("second 60: got %d attempts and %v open, want about 90 and 0",
					b.Attempts, b.Open)
			}
			continue
		}
		if b.Attempts != want.attempts || b.Open != want.open {
			t.Errorf("%d: second %d: got %d attempts and %v open, want %d and %v",
				i, want.at, b.Attempts, b.Open, want.attempts, want.open)
		}
	}
	if r.Rejected+r.Attempts != r.Calls {
		t.Errorf("%d rejected and %d attempts of %d calls", r.Rejected, r.Attempts, r.Calls)
	}
}

// TestBreakerBetweenLayers: inside one program, an open breaker in a layer ends the call in all
// layers. For the layer above, a mute layer looks overloaded, so it retries.
func TestBreakerBetweenLayers(t *testing.T) {
	for _, c := range []struct {
		mute               bool
		attempts, rejected int64
	}{
		// Two attempts open it. From then on each call is rejected once, or as often as the
		// clients try.
		{false, 2, 5}, {true, 2, 1 + 4*3},
	} {
		s := Scenario{
			Clients: Clients{Count: 1, Calls: 5, Think: constant(10 * ms)},
			Layers: []Layer{{Mute: c.mute, Policy: &rebound.Policy{
				Attempts: 1, Breaker: &breaker.Breaker{Failures: 2, Cooldown: time.Hour},
			}}},
			Server: Server{Windows: []Window{{Fail: 1}}},
		}
		r := play(t, s, &rebound.Policy{
			Attempts: 3, Backoff: backoff.Constant(ms), Budget: budget.Unlimited,
		})
		if r.Attempts != c.attempts || r.Rejected != c.rejected || r.Failed != 5 {
			t.Errorf("mute %v: got %d attempts, %d rejected, %d failed; want %d, %d, 5",
				c.mute, r.Attempts, r.Rejected, r.Failed, c.attempts, c.rejected)
		}
	}
}

// TestShortQueue: the long queue keeps the server of the metastable scenario down. With a queue
// that drains in a tenth of a second the server recovers, whatever the clients do.
func TestShortQueue(t *testing.T) {
	s := metastable()
	s.Server.Queue = 100
	r := play(t, s, &rebound.Policy{Attempts: 4, Budget: budget.Unlimited})
	if !r.Recovered {
		t.Errorf("not recovered, with a goodput of %.3f at the end", goodput(r))
	}
}

// TestFaults: for a policy, failures look like those of a real server.
func TestFaults(t *testing.T) {
	l := newLayer(&rebound.Policy{}, 1, 1, 0, causeErrors(&Server{
		Windows: []Window{{RetryAfter: time.Minute}},
	}))
	for c, want := range map[cause]fault.Fault{
		served:    {Kind: fault.None},
		expired:   {Kind: fault.Transient},
		refused:   {Kind: fault.Transient, Sent: fault.NotSent},
		full:      {Kind: fault.Overloaded},
		failed:    {Kind: fault.Transient},
		conflict:  {Kind: fault.Transient, Sent: fault.NotDone},
		throttled: {Kind: fault.RateLimited, Sent: fault.NotDone, After: time.Minute},
	} {
		got := l.faults[c]
		if c != served && got.Err == nil {
			t.Errorf("cause %d: the fault has no error", c)
		}
		if got.Detail, got.Err = "", nil; got != want {
			t.Errorf("cause %d: got %+v, want %+v", c, got, want)
		}
	}
	if !fault.IsConnection(l.errs[refused]) || !fault.IsTimeout(l.errs[expired]) {
		t.Error("a refused connection or a timeout is not recognized")
	}
	if l.ended.Kind != fault.Canceled {
		t.Errorf("the end of a call's context: got %v, want canceled", l.ended.Kind)
	}
}
