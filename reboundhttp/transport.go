package reboundhttp

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/internal/httppolicy"
)

// Transport is an http.RoundTripper that retries requests. The zero Transport is ready to use: it
// sends through http.DefaultTransport under the zero policy, with a retry budget for each host. Any
// number of goroutines may use it. Once it is in use, do not copy it or change its fields.
//
// It never modifies a request, and returns either a response or an error. Gates and breakers get
// the outcome of an attempt when the response's header has arrived, not when its body has been
// read.
//
// An attempt that times out closes its connection, which may be dead. If other attempts use the
// connection, it stays open for them, and the next attempt to the host makes net/http retire it.
type Transport struct {
	// Base makes the attempts. Nil = http.DefaultTransport. Only an *http.Transport can prove that a
	// request which is not idempotent was never sent because there was no connection.
	Base http.RoundTripper

	// Policy describes how failures are handled. Its AttemptTimeout includes reading the response,
	// until the body is closed. Its Classify gets a *StatusError for a response with a bad status. If
	// the policy has no Budget, each host (URL.Host) has one, with the defaults of budget.Budget and a
	// Capacity of at least the retries of one call: see [Transport.Budgets]. Nil = the zero policy.
	Policy *rebound.Policy

	// Classify is used if the policy of the request has none. Nil = fault.Of.
	Classify fault.Classifier

	// Idempotent reports whether a request may be repeated. It is called if neither the method nor an
	// Idempotency-Key makes the request idempotent. Nil = such a request may not be repeated.
	Idempotent func(*http.Request) bool

	// IdempotencyKeys adds a random Idempotency-Key to each request that could not be retried without
	// one. All attempts of a request have the same key. Set it only for servers that honour the key:
	// the header also allows net/http to send the request again by itself.
	IdempotencyKeys bool

	// Breakers holds a breaker for each host (URL.Host). Transports may share it. The breaker comes
	// after the policy's Gates. Nil = none.
	Breakers *breaker.Group[string]

	// Hedge starts a second attempt when the header of the first does not arrive in time. The first
	// good response is returned; the other attempt is canceled. Only requests that may be repeated are
	// hedged. A PUT or DELETE whose attempt was canceled may still take effect after the response has
	// arrived.
	//
	// Each hedge counts as an attempt for gates, breakers and timeouts, but not for Policy.Attempts.
	// The hosts that share a Hedge should have similar response times. Nil = no hedges.
	Hedge *hedge.Hedge

	// AttemptHeader is the name of a header, such as X-Retry-Attempt, for the number of the request: 2
	// for the first retry or hedge, 3 for the next. The first request is sent without it. "" = no
	// header.
	AttemptHeader string

	// FirstByteTimeout bounds the time from the start of an attempt to the response's header,
	// including dialing and sending the body. An attempt that exceeds it has failed and may be
	// retried. It suits streams, whose length makes an AttemptTimeout unsuitable. 0 = none.
	FirstByteTimeout time.Duration

	// IdleTimeout is the longest time that a Read of a response's body may wait for data. After that,
	// Read returns a timeout error. The time between Reads does not count. 0 = no limit.
	IdleTimeout time.Duration

	// MaxBuffer is the number of bytes of a request's body that are kept, so that the body can be sent
	// again. It applies to requests without GetBody. If the body is longer, the request is not retried
	// once MaxBuffer bytes have been sent. 0 = 1 MiB.
	MaxBuffer int64

	hosts hosts
	uses  connUses
	looks looks // whether Base looks for a trace
}

const defaultMaxBuffer = 1 << 20

// NewClient returns a client with a [Transport] under p and without a Timeout. A nil p is the zero
// policy.
func NewClient(p *rebound.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: p}}
}

// WithPolicy returns a context whose requests use p instead of [Transport.Policy]. A nil p is the
// zero policy. After the first request, p must not be changed.
//
// Unless p has a Budget, such requests draw on the budget of their host like all others. p does not
// enlarge that budget, so it may stop a call of more than 11 attempts.
func WithPolicy(ctx context.Context, p *rebound.Policy) context.Context {
	return httppolicy.With(ctx, p)
}

// Budgets yields the hosts that the Transport keeps, each with its budget, in no particular order.
// A policy with its own Budget does not draw on these.
func (t *Transport) Budgets() iter.Seq2[string, *budget.Budget] {
	return func(yield func(string, *budget.Budget) bool) {
		t.hosts.all(func(h *host) bool { return yield(h.name, h.budget) })
	}
}

// CloseIdleConnections closes the idle connections of Base. http.Client.CloseIdleConnections calls
// it.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (t *Transport) Validate() error {
	for _, f := range []struct {
		field string
		value time.Duration
	}{
		{"FirstByteTimeout", t.FirstByteTimeout},
		{"IdleTimeout", t.IdleTimeout},
	} {
		if f.value < 0 {
			return fmt.Errorf("reboundhttp: Transport.%s is %v: want more than 0, or 0 for none",
				f.field, f.value)
		}
	}
	if t.MaxBuffer < 0 {
		return fmt.Errorf("reboundhttp: Transport.MaxBuffer is %d: want a number of bytes, "+
			"or 0 for %d", t.MaxBuffer, defaultMaxBuffer)
	}
	if !isToken(t.AttemptHeader) {
		return fmt.Errorf("reboundhttp: Transport.AttemptHeader is %q: want a header's name, "+
			"or \"\" for none", t.AttemptHeader)
	}
	if t.Breakers != nil {
		if err := t.Breakers.Validate(); err != nil {
			return fmt.Errorf("reboundhttp: Transport.Breakers: %w", err)
		}
	}
	if err := t.Hedge.Validate(); err != nil {
		return fmt.Errorf("reboundhttp: Transport.Hedge: %w", err)
	}
	return t.Policy.Validate()
}

// isToken reports whether all characters of name are allowed in the name of a header (RFC 9110,
// section 5.6.2).
func isToken(name string) bool {
	return strings.Trim(name, "!#$%&'*+-.^_`|~0123456789"+
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// isNetHTTP reports whether net/http alone makes the attempts. A wrapper may have sent the request
// some other way before net/http had no connection for it.
func (t *Transport) isNetHTTP() bool {
	_, ok := t.base().(*http.Transport)
	return ok
}

// baseHasTimeouts reports whether Base ends attempts by itself.
func (t *Transport) baseHasTimeouts() bool {
	switch b := t.base().(type) {
	case *http.Transport:
		return b.ResponseHeaderTimeout > 0
	case httppolicy.Timed:
		return true
	}
	return false
}

func (t *Transport) maxBuffer() int64 {
	if t.MaxBuffer == 0 {
		return defaultMaxBuffer
	}
	return t.MaxBuffer
}
