package reboundhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

var (
	refused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	broken  = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
)

var repeats = []struct {
	method string
	header string // key, which the request carries
	first  step
	want   int // attempts
}{
	{"GET", "", status(200), 1},
	{"GET", "", status(304), 1},
	{"GET", "", status(404), 1},
	{"GET", "", status(501), 1},
	{"GET", "", status(503), 2},
	{"GET", "", fails(broken), 2},
	{"GET", "", fails(errors.New("who knows")), 2},
	{"", "", status(500), 2},
	{"HEAD", "", status(500), 2},
	{"OPTIONS", "", status(500), 2},
	{"TRACE", "", status(500), 2},
	{"PUT", "", status(500), 2},
	{"DELETE", "", status(500), 2},
	{"QUERY", "", status(500), 2},

	{"POST", "", status(200), 1},
	{"POST", "", status(500), 1},
	{"POST", "", status(502), 1},
	{"POST", "", status(503), 1},
	{"POST", "", status(503, "Retry-After", "1"), 1},
	{"POST", "", status(503, "X-Should-Retry", "true"), 1},
	{"POST", "", status(429), 2},
	{"POST", "", status(408), 2},
	{"POST", "", status(425), 2},
	{"POST", "", status(421), 2},
	{"POST", "", status(529), 2},
	{"POST", "", fails(refused), 2},
	{"POST", "", fails(broken), 1},
	{"POST", "", fails(io.EOF), 1},
	{"POST", "", fails(errors.New("who knows")), 1},
	{"PATCH", "", status(503), 1},
	{"PATCH", "", status(429), 2},
	{"PROPPATCH", "", status(503), 1},
	{"POST", "Idempotency-Key", status(503), 2},
	{"POST", "X-Idempotency-Key", fails(broken), 2},

	{"GET", "", status(400, "X-Should-Retry", "true"), 2},
	{"GET", "", status(500, "X-Should-Retry", "false"), 1},
	{"GET", "", status(500, "Stripe-Should-Retry", "false"), 1},
	{"GET", "", status(409, "Stripe-Should-Retry", "true"), 2},
	{"GET", "", status(413), 1},
	{"GET", "", status(413, "Retry-After", "1"), 2},
}

func TestWhatIsRepeated(t *testing.T) {
	for _, tt := range repeats {
		synctest.Test(t, func(t *testing.T) {
			base := play(tt.first, status(200))
			req := request(t, tt.method, "question")
			if tt.header != "" {
				req.Header.Set(tt.header, "k")
			}
			before := fmt.Sprint(*req)
			resp, err := (&Transport{Base: base}).RoundTrip(req)
			if got := base.count(); got != tt.want {
				t.Errorf("%s %s: %d attempts (%s), want %d", tt.method, tt.header, got,
					outcome(resp, err), tt.want)
			}
			for i, s := range base.sent {
				if s.body != "question" {
					t.Errorf("attempt %d sent %q, want the whole body", i+1, s.body)
				}
			}
			if after := fmt.Sprint(*req); after != before {
				t.Errorf("the caller's request was %s, is %s", before, after)
			}
			if resp != nil {
				resp.Body.Close()
			}
			if base.open != 0 {
				t.Errorf("%d responses were not closed", base.open)
			}
		})
	}
}

func TestIdempotentWidens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(503), status(200))
		asked := 0
		tr := &Transport{Base: base, Idempotent: func(r *http.Request) bool {
			asked++
			return r.URL.Path == "/x"
		}}
		resp, err := tr.RoundTrip(request(t, "POST", "q"))
		if got := outcome(resp, err); got != "200" || asked != 1 {
			t.Errorf("%s after asking %d times, want 200 after once", got, asked)
		}
	})
}

func TestPolicyMayForbidRepeating(t *testing.T) {
	base := play(status(500))
	tr := &Transport{Base: base, Policy: &rebound.Policy{NonIdempotent: true}}
	resp, err := tr.RoundTrip(request(t, "GET", ""))
	if got := outcome(resp, err); got != "500" || base.count() != 1 {
		t.Errorf("%s after %d attempts, want 500 after 1", got, base.count())
	}
	if e := CallOf(resp).Err; !errors.Is(e, rebound.NotIdempotent) {
		t.Errorf("CallOf has %v, want not idempotent", e)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(500), fails(broken), status(200), status(500), status(200))
		tr := &Transport{Base: base, IdempotencyKeys: true}
		req := request(t, "POST", "q")
		for range 2 {
			req.Body, _ = req.GetBody()
			if resp, err := tr.RoundTrip(req); outcome(resp, err) != "200" {
				t.Fatalf("got %s, want 200", outcome(resp, err))
			}
		}
		var keys []string
		for _, s := range base.sent {
			keys = append(keys, s.header.Get("Idempotency-Key"))
		}
		if len(keys) != 5 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] ||
			keys[3] == keys[0] || keys[4] != keys[3] {
			t.Errorf("keys %q, want one for 3 attempts and another for 2", keys)
		}
		if len(req.Header) != 0 {
			t.Errorf("the caller's header became %v", req.Header)
		}
		if _, err := tr.RoundTrip(request(t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		if k := base.sent[5].header.Get("Idempotency-Key"); k != "" {
			t.Errorf("a GET got the key %q, want none", k)
		}
	})
}

func TestFinalResponseIsWhole(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10_000) // 160 kB
	for _, code := range []int{200, 400, 404, 429, 500, 503} {
		for _, curious := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				base := play(func(req *http.Request) (*http.Response, error) {
					return answer(req, code, long), nil
				})
				p := &rebound.Policy{}
				if curious {
					p.Observe = func(context.Context, rebound.Event) {}
				}
				tr := &Transport{Base: base, Policy: p}
				resp, err := tr.RoundTrip(request(t, "GET", ""))
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, resp); got != long || resp.StatusCode != code {
					t.Errorf("status %d with %d bytes, want %d with %d",
						resp.StatusCode, len(got), code, len(long))
				}
				if base.open != 0 {
					t.Errorf("%d responses were not closed", base.open)
				}
			})
		}
	}
}

func TestCallOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			steps  []step
			want   Call
			reason rebound.Reason
		}{
			{[]step{status(200)}, Call{Attempts: 1}, ""},
			{[]step{status(404)}, Call{Attempts: 1}, rebound.NotRetryable},
			{[]step{status(500), status(200)},
				Call{Attempts: 2, Waits: []time.Duration{time.Second}}, ""},
			{[]step{status(500)},
				Call{Attempts: 3, Waits: []time.Duration{time.Second, 2 * time.Second}},
				rebound.Exhausted},
			{[]step{status(429), fails(broken), status(410)},
				Call{Attempts: 3, Waits: []time.Duration{10 * time.Second, 2 * time.Second}},
				rebound.NotRetryable},
		}
		for i, tt := range tests {
			tr := &Transport{Base: play(tt.steps...), Policy: seconds()}
			// The client's Timeout wraps the body, which does not matter.
			client := &http.Client{Transport: tr, Timeout: time.Hour}
			resp, err := client.Do(request(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			got := CallOf(resp)
			if tt.reason != "" && !errors.Is(got.Err, tt.reason) || tt.reason == "" && got.Err != nil {
				t.Errorf("%d: the call ended with %v, want %q", i, got.Err, tt.reason)
			}
			got.Err = nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%d: %+v, want %+v", i, got, tt.want)
			}
			resp.Body.Close()
		}
		// A request in the context of an earlier response does not affect that response.
		tr := &Transport{Base: play(status(500)), Policy: seconds()}
		old, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		tr.Base = play(status(429), status(200))
		resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(old.Request.Context()))
		if got := outcome(resp, err); got != "200" || CallOf(resp).Attempts != 2 ||
			CallOf(resp).Waits[0] != 10*time.Second {
			t.Errorf("%s, %+v: want 200 after 2 and 10s", got, CallOf(resp))
		}
		if got := CallOf(&http.Response{}); got.Attempts != 1 {
			t.Errorf("a stranger's response took %d attempts, want 1", got.Attempts)
		}
	})
}

func TestWaits(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
		want  time.Duration // the first wait at least, and at most a quarter more
		end   string
	}{
		{"own backoff", []step{status(500), status(200)}, time.Second, "200"},
		{"throttled", []step{status(429), status(200)}, 10 * time.Second, "200"},
		{"asked for less", []step{status(500, "Retry-After", "0.1"), status(200)},
			time.Second, "200"},
		{"asked for more", []step{status(500, "Retry-After", "20"), status(200)},
			20 * time.Second, "200"},
		{"fraction", []step{status(503, "Retry-After", "12.5"), status(200)},
			12500 * time.Millisecond, "200"},
		{"milliseconds", []step{status(503, "Retry-After-Ms", "15500"), status(200)},
			15500 * time.Millisecond, "200"},
		{"too long", []step{status(429, "Retry-After", "121"), status(200)}, 0, "429"},
		{"garbage", []step{status(500, "Retry-After", "soon"), status(200)}, time.Second, "200"},
		{"limit reset", []step{status(429, "X-Ratelimit-Reset-Requests", "30s"), status(200)},
			30 * time.Second, "200"},
		{"limit reset of another failure",
			[]step{status(500, "X-Ratelimit-Reset-Requests", "30s"), status(200)},
			time.Second, "200"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			base := play(tt.steps...)
			resp, err := (&Transport{Base: base, Policy: seconds()}).RoundTrip(request(t, "GET", ""))
			if got := outcome(resp, err); got != tt.end {
				t.Errorf("%s: ended with %s, want %s", tt.name, got, tt.end)
			}
			var first time.Duration
			if gaps := base.gaps(); len(gaps) > 0 {
				first = gaps[0]
			}
			if first < tt.want || first > tt.want+tt.want/4 {
				t.Errorf("%s: waited %v, want %v to a quarter more", tt.name, first, tt.want)
			}
		})
	}
}

func TestGivingUpTellsSDKs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			method string
			steps  []step
			want   string // X-Should-Retry
		}{
			{"GET", []step{status(503)}, "false"},
			{"GET", []step{status(503, "X-Should-Retry", "true")}, "false"},
			{"GET", []step{status(503), status(409)}, "false"},
			{"GET", []step{status(503), status(200)}, ""},
			{"GET", []step{status(404)}, ""},
			{"POST", []step{status(503)}, ""},
			{"POST", []step{status(429), status(503)}, "false"},
			{"GET", []step{status(500, "Retry-After", "600")}, ""},
		}
		for i, tt := range tests {
			tr := &Transport{Base: play(tt.steps...), Policy: seconds()}
			resp, err := tr.RoundTrip(request(t, tt.method, "q"))
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("X-Should-Retry"); got != tt.want {
				t.Errorf("%d: X-Should-Retry is %q, want %q", i, got, tt.want)
			}
		}
		tr := &Transport{Base: play(status(500, "Stripe-Should-Retry", "true"))}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil || resp.Header.Get("Stripe-Should-Retry") != "false" {
			t.Errorf("got %v, %v: want Stripe-Should-Retry false", resp.Header, err)
		}
	})
}

func TestLayersAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(503))
		inner := &Transport{Base: base}
		outer := &Transport{Base: inner}
		resp, err := outer.RoundTrip(request(t, "GET", ""))
		if got := outcome(resp, err); got != "503" || base.count() != 3 {
			t.Errorf("%s after %d attempts, want 503 after 3", got, base.count())
		}
		if e := CallOf(resp).Err; !errors.Is(e, rebound.AlreadyRetried) {
			t.Errorf("the outer call ended with %v, want already retried", e)
		}
		if f := Classify(resp, nil); f.Kind != fault.Overloaded || !f.Final {
			t.Errorf("fault %+v, want overloaded and final", f)
		}

		client := &http.Client{Transport: inner}
		base.sent = nil
		_, err = rebound.Do(t.Context(), nil, func(ctx context.Context) (int, error) {
			resp, err := client.Get("http://example.test/")
			if err == nil && resp.StatusCode >= 400 {
				err = &StatusError{Response: resp}
			}
			return 0, err
		})
		if !errors.Is(err, rebound.AlreadyRetried) || base.count() != 3 {
			t.Errorf("%v after %d attempts, want already retried after 3", err, base.count())
		}
	})
}

func TestTransportErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(503), fails(broken))
		req := request(t, "GET", "")
		resp, err := (&Transport{Base: base}).RoundTrip(req)
		var e *rebound.Error
		if resp != nil || !errors.As(err, &e) || e.Attempts != 3 || e.Reason != rebound.Exhausted ||
			!errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, %v: want exhausted after 3 attempts by a reset", resp, err)
		}
		if base.open != 0 {
			t.Errorf("%d responses were not closed", base.open)
		}

		both := play(func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, "x"), io.ErrUnexpectedEOF
		})
		resp, err = (&Transport{Base: both}).RoundTrip(req)
		if got := outcome(resp, err); got != "exhausted" || both.open != 0 {
			t.Errorf("a Base that returns both: %s, %d open; want exhausted, 0", got, both.open)
		}
		resp, err = (&Transport{Base: play(fails(nil))}).RoundTrip(req)
		if got := outcome(resp, err); got != "not_retryable" {
			t.Errorf("a Base that returns nothing: %s, want not_retryable", got)
		}
	})
}

func TestCallerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone home")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(gone) })
		base := play(status(503, "Retry-After", "1"), status(500))
		tr := &Transport{Base: base, Policy: seconds()}
		resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
		var bad *StatusError
		if got := outcome(resp, err); got != "canceled" || !errors.Is(err, gone) ||
			!errors.Is(err, context.Canceled) || !errors.As(err, &bad) {
			t.Errorf("got %s, %v: want canceled, its cause and the last status", got, err)
		}
		if base.open != 0 {
			t.Errorf("%d responses were not closed", base.open)
		}

		// If a delay would pass the deadline, the call ends at once with the response.
		ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
		defer stop()
		start := time.Now()
		tr.Base = play(status(429, "Retry-After", "20"))
		resp, err = tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
		if got := outcome(resp, err); got != "429" || time.Since(start) != 0 {
			t.Errorf("%s after %v, want 429 at once", got, time.Since(start))
		}
		if e := CallOf(resp).Err; !errors.Is(e, rebound.PastDeadline) {
			t.Errorf("the call ended with %v, want past deadline", e)
		}

		// So does http.Client.Timeout.
		client := &http.Client{Transport: tr, Timeout: 15 * time.Second}
		if resp, err = client.Do(request(t, "GET", "")); outcome(resp, err) != "429" {
			t.Errorf("got %s, want 429", outcome(resp, err))
		}
		resp.Body.Close()
	})
}

func TestWithPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(500))
		tr := &Transport{Base: base}
		for want, p := range map[int]*rebound.Policy{
			1: {Attempts: 1}, 3: nil, 5: {Attempts: 5}, 15: {Attempts: 15},
		} {
			base.sent = nil
			req := request(t, "GET", "")
			resp, err := tr.RoundTrip(req.WithContext(WithPolicy(t.Context(), p)))
			if got := outcome(resp, err); got != "500" || base.count() != want {
				t.Errorf("%s after %d attempts (%v), want 500 after %d",
					got, base.count(), CallOf(resp).Err, want)
			}
			time.Sleep(time.Hour) // refills the budget
		}
		base.sent = nil
		tr = &Transport{Base: base, Policy: &rebound.Policy{Attempts: 15}}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if got := outcome(resp, err); got != "500" || base.count() != 15 {
			t.Errorf("%s after %d attempts, want 500 after 15", got, base.count())
		}
	})
}

// Requests of one context may differ in what their policy needs: the host, whether they may be
// repeated, and whether their body is kept. Each gets its own plan, and transports do not share it.
func TestWithPolicyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(500))
		one := &Transport{Base: base, MaxBuffer: 2}
		two := &Transport{Base: base, IdempotencyKeys: true}
		ctx := WithPolicy(t.Context(), &rebound.Policy{Attempts: 3})
		for range 2 {
			for _, row := range []struct {
				tr           *Transport
				host, method string
				once         bool // the body can be sent only once
				want         int
			}{
				{one, "a.test", "GET", false, 3},
				{one, "a.test", "POST", false, 1},
				{one, "b.test", "GET", false, 3},
				{one, "b.test", "PUT", true, 1},
				{one, "a.test", "GET", false, 3},
				{two, "a.test", "POST", false, 3},
				{one, "a.test", "POST", false, 1},
			} {
				base.sent = nil
				req := request(t, row.method, "body").WithContext(ctx)
				req.URL.Host = row.host
				if row.once {
					req.GetBody = nil
				}
				resp, err := row.tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if base.count() != row.want {
					t.Errorf("%s to %s: %d attempts (%v), want %d", row.method, row.host, base.count(),
						CallOf(resp).Err, row.want)
				}
				for i, sent := range base.sent {
					if sent.body != "body" {
						t.Errorf("%s: attempt %d had the body %q", row.method, i+1, sent.body)
					}
				}
				for name, b := range row.tr.Budgets() {
					used := name == row.host && row.want > 1
					if (b.Level() < b.Size()) != used {
						t.Errorf("%s to %s: the budget of %s is used: %v, want %v", row.method, row.host,
							name, !used, used)
					}
				}
				time.Sleep(time.Hour) // refills the budget
			}
		}
	})
}

func TestBudgetPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(500))
		tr := &Transport{Base: base}
		call := func(host string, p *rebound.Policy) error {
			req := request(t, "GET", "")
			req.URL.Host = host
			if p != nil {
				req = req.WithContext(WithPolicy(t.Context(), p))
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			return CallOf(resp).Err
		}
		for range 6 {
			call("a.test", nil)
		}
		if err := call("a.test", nil); !errors.Is(err, rebound.OutOfBudget) ||
			!errors.Is(err, budget.ErrEmpty) {
			t.Errorf("the seventh call to a.test: %v, want out of budget", err)
		}
		if err := call("a.test", &rebound.Policy{Name: "other"}); !errors.Is(err, rebound.OutOfBudget) {
			t.Errorf("a call by another policy: %v, want out of budget", err)
		}
		before := base.count()
		err := call("a.test", &rebound.Policy{Attempts: 15})
		if n := base.count() - before; !errors.Is(err, rebound.OutOfBudget) || n > 2 {
			t.Errorf("a call of 15 attempts: %v after %d, want out of budget after 2", err, n)
		}
		if err := call("b.test", nil); !errors.Is(err, rebound.Exhausted) {
			t.Errorf("a call to b.test: %v, want exhausted", err)
		}
		own := &rebound.Policy{Budget: budget.Unlimited}
		if err := call("a.test", own); !errors.Is(err, rebound.Exhausted) {
			t.Errorf("a call with its own budget: %v, want exhausted", err)
		}
	})
}

func TestBreakerPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := play(status(500))
		group := &breaker.Group[string]{}
		tr := &Transport{Base: base, Breakers: group,
			Policy: &rebound.Policy{Budget: budget.Unlimited}}
		for range 2 {
			resp, err := tr.RoundTrip(request(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
		}
		if got := group.For("example.test").State(); got != breaker.Open || base.count() != 5 {
			t.Errorf("%v after %d attempts, want open after 5", got, base.count())
		}
		body := &closing{Reader: strings.NewReader("q")}
		req := once(t, "GET", body)
		resp, err := tr.RoundTrip(req)
		if got := outcome(resp, err); got != "rejected" || !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("got %v, want rejected by the breaker", err)
		}
		if body.closed != 1 {
			t.Errorf("the body was closed %d times, want once", body.closed)
		}
		req = request(t, "GET", "")
		req.URL.Host = "other.test"
		if resp, err = tr.RoundTrip(req); outcome(resp, err) != "500" {
			t.Errorf("another host: %v, want 500", err)
		}
	})
}

func TestInvalid(t *testing.T) {
	tests := []struct {
		t    *Transport
		want string
	}{
		{&Transport{FirstByteTimeout: -1}, "Transport.FirstByteTimeout is -1ns"},
		{&Transport{IdleTimeout: -1}, "Transport.IdleTimeout is -1ns"},
		{&Transport{MaxBuffer: -1}, "Transport.MaxBuffer is -1"},
		{&Transport{Policy: &rebound.Policy{Attempts: -2}}, "Policy.Attempts is -2"},
		{&Transport{Policy: &rebound.Policy{AttemptTimeout: 2, MaxElapsed: 1}},
			"Policy.AttemptTimeout is 2ns"},
		{&Transport{Breakers: &breaker.Group[string]{Idle: -1}}, "Transport.Breakers"},
	}
	for _, tt := range tests {
		base := play(status(200))
		tt.t.Base = base
		body := &closing{Reader: strings.NewReader("q")}
		resp, err := tt.t.RoundTrip(once(t, "PUT", body))
		if got := outcome(resp, err); got != "invalid" || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s, %v: want invalid, and %q", got, err, tt.want)
		}
		if base.count() != 0 {
			t.Errorf("%s: %d attempts, want none", tt.want, base.count())
		}
	}
	req := request(t, "GET", "")
	req = req.WithContext(WithPolicy(t.Context(), &rebound.Policy{MaxElapsed: -1}))
	resp, err := (&Transport{Base: play(status(200))}).RoundTrip(req)
	if got := outcome(resp, err); got != "invalid" {
		t.Errorf("a bad policy for one request: %s, want invalid", got)
	}
}

// closing counts its Close calls.
type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

func TestClassifySeesTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("x", 100_000)
		var seen []int
		p := seconds()
		p.Classify = func(err error) fault.Fault {
			var bad *StatusError
			if errors.As(err, &bad) {
				seen = append(seen, len(bad.Body))
				if string(bad.Body) == "spent" {
					return fault.Fault{Kind: fault.Permanent}
				}
			}
			return fault.Of(err)
		}
		base := play(func(req *http.Request) (*http.Response, error) {
			return answer(req, 429, long), nil
		}, func(req *http.Request) (*http.Response, error) {
			return answer(req, 429, "spent"), nil
		})
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "POST", "q"))
		if err != nil || base.count() != 2 || read(t, resp) != "spent" {
			t.Errorf("%v after %d attempts, want the second response whole", err, base.count())
		}
		if want := []int{64 << 10, 5}; !reflect.DeepEqual(seen, want) {
			t.Errorf("Classify saw bodies of %v bytes, want %v", seen, want)
		}
	})
}

func TestStatusErrorText(t *testing.T) {
	tests := []struct{ body, want string }{
		{"", "status 503: service unavailable"},
		{"  try\n later ", "status 503: try later"},
		{"<html><h1>Bad</h1></html>", "status 503: service unavailable"},
		{strings.Repeat("ä", 150), "status 503: " + strings.Repeat("ä", 100) + "…"},
	}
	for _, tt := range tests {
		e := &StatusError{Response: &http.Response{StatusCode: 503}, Body: []byte(tt.body)}
		if got := e.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	e := &StatusError{Response: &http.Response{StatusCode: 599}}
	if got := e.Error(); got != "status 599" {
		t.Errorf("got %q, want status 599", got)
	}
}

// A Base may leave out a body that is empty, and a request.
func TestBareResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base := roundTripper(func(*http.Request) (*http.Response, error) {
			if n++; n%3 != 0 {
				return &http.Response{StatusCode: 500}, nil
			}
			return &http.Response{StatusCode: 200}, nil
		})
		for _, timeout := range []time.Duration{0, time.Second} {
			tr := &Transport{Base: base, Policy: &rebound.Policy{AttemptTimeout: timeout}}
			resp, err := (&http.Client{Transport: tr}).Do(request(t, "GET", ""))
			if got := outcome(resp, err); got != "200" || CallOf(resp).Attempts != 3 {
				t.Errorf("%s after %d attempts, want 200 after 3", got, CallOf(resp).Attempts)
			}
			if got := read(t, resp); got != "" {
				t.Errorf("the body is %q, want none", got)
			}
		}
	})
}

// A mark outranks RetryIf even if the Transport adds facts to the error.
func TestMarksOutrankRetryIf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := &rebound.Policy{RetryIf: func(fault.Fault) bool { return false }}
		for want, err := range map[int]error{1: broken, 3: rebound.Transient(broken)} {
			n := 0
			// Without a connection the request was never sent.
			base := &http.Transport{
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					n++
					return nil, err
				},
			}
			resp, err := (&Transport{Base: base, Policy: never}).RoundTrip(request(t, "POST", ""))
			if n != want {
				t.Errorf("%s after %d attempts, want %d", outcome(resp, err), n, want)
			}
		}
	})
}

func TestCloseIdleConnections(t *testing.T) {
	base := &idling{}
	(&http.Client{Transport: &Transport{Base: base}}).CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("Base was asked %d times, want once", base.closed)
	}
	(&Transport{Base: play()}).CloseIdleConnections() // which has no such method
}

type idling struct {
	script
	closed int
}

func (b *idling) CloseIdleConnections() { b.closed++ }

// The Transport's classifier serves the policies that have none.
func TestTransportClassify(t *testing.T) {
	means := func(k fault.Kind) fault.Classifier {
		return func(error) fault.Fault { return fault.Fault{Kind: k} }
	}
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			own  fault.Classifier
			want int
		}{{nil, 1}, {means(fault.Transient), 3}} {
			base := play(status(500))
			tr := &Transport{Base: base, Classify: means(fault.Permanent)}
			req := request(t, "GET", "")
			ctx := WithPolicy(t.Context(), &rebound.Policy{Classify: tt.own})
			if _, err := tr.RoundTrip(req.WithContext(ctx)); err != nil || base.count() != tt.want {
				t.Errorf("%d attempts, %v, want %d", base.count(), err, tt.want)
			}
		}
	})
}
