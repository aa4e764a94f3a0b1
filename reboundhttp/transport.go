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

// Transport is an http.RoundTripper that repeats requests. The zero Transport is ready: it sends
// through http.DefaultTransport by the zero policy, with a retry budget for each host. It may be
// used by any number of goroutines; once in use it must not be copied, nor its fields changed.
//
// It never modifies a request, and returns either a response or an error. Gates and breakers
// learn how an attempt ended when its response's header is there, not when the body was read.
//
// An attempt that times out closes its connection, as the connection may be dead. If other attempts
// use the connection, it stays open for them, and the next attempt to the host makes net/http
// retire it.
type Transport struct {
	// Base makes the attempts. Nil = http.DefaultTransport. That a request which is not idempotent
	// never had a connection to be sent on is believed of an *http.Transport only.
	Base http.RoundTripper

	// Policy describes how failures are handled. Its AttemptTimeout covers the reading of the response
	// and ends with the closing of its body. A policy without a Budget of its own gets one for each
	// host (URL.Host), with the defaults of budget.Budget and room for the attempts of one call by
	// this policy: see [Transport.Budgets]. Its Classify is given a *StatusError for a response with a
	// bad status. Nil = the zero policy.
	Policy *rebound.Policy

	// Classify is used where the policy in force, this or that of a request, has none. Nil =
	// fault.Of.
	Classify fault.Classifier

	// Idempotent says of a request that is not idempotent by its method or by carrying an
	// Idempotency-Key whether repeating it does no harm all the same. Nil = it does.
	Idempotent func(*http.Request) bool

	// IdempotencyKeys gives a request that would need an Idempotency-Key to be repeated a random
	// one, the same in all of its attempts. Only for servers that honour it: net/http, too, takes
	// the header to mean that it may send the request again by itself.
	IdempotencyKeys bool

	// Breakers holds a breaker for each host (URL.Host), to be shared or watched. It stands
	// around each attempt, inside the policy's Gates. Nil = none.
	Breakers *breaker.Group[string]

	// Hedge makes a second attempt beside one whose response's header does not come in time, and
	// takes the response that is good first; the other is canceled and closed. Only requests that
	// may be repeated are hedged: those that are not are exactly those that this Transport does
	// not repeat after a failure in which the server may have acted. A PUT or DELETE that lost may
	// still act after the response has come.
	//
	// Each hedge is an attempt to gates, breakers and timeouts, but not to Policy.Attempts. The
	// hosts of one Hedge should take about as long as each other. Nil = no hedges.
	Hedge *hedge.Hedge

	// AttemptHeader is the name of a header, such as X-Retry-Attempt, with the number of the
	// request, that every request of a call but the first gets: 2 for the first retry or hedge, 3
	// for the next. The first is sent as it is. "" = no header.
	AttemptHeader string

	// FirstByteTimeout is the time from an attempt's beginning, the dialing and the sending of
	// its body included, to its response's header. An attempt that takes longer has failed, and
	// is repeated like others. For streams, whose end no AttemptTimeout can know. 0 = none.
	FirstByteTimeout time.Duration

	// IdleTimeout is how long a Read of a response's body may wait for data; after that it
	// returns an error that is a timeout. What the reader does in between does not count. 0 = no
	// limit.
	IdleTimeout time.Duration

	// MaxBuffer is how many bytes of a request's body are kept, as it is sent, to be sent again,
	// if the request has no GetBody. Once a body is longer than this the request is no longer
	// repeated. 0 = 1 MiB.
	MaxBuffer int64

	hosts hosts
	uses  connUses
	looks looks // whether Base looks for a trace
}

const defaultMaxBuffer = 1 << 20

// NewClient returns a client with a [Transport] that goes by p (nil = the zero policy), and no
// Timeout.
func NewClient(p *rebound.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: p}}
}

// WithPolicy returns a context whose requests go by p (nil = the zero policy) instead of
// [Transport.Policy]. Unless p has a Budget, they draw on that of their host like all others, which
// p makes no larger: of more than 11 attempts by p only some may be made.
func WithPolicy(ctx context.Context, p *rebound.Policy) context.Context {
	return httppolicy.With(ctx, p)
}

// Budgets yields the hosts that the Transport keeps and the budget of each, in any order. A policy
// with a Budget of its own does not draw on these.
func (t *Transport) Budgets() iter.Seq2[string, *budget.Budget] {
	return func(yield func(string, *budget.Budget) bool) {
		t.hosts.all(func(h *host) bool { return yield(h.name, h.budget) })
	}
}

// CloseIdleConnections closes those of Base, as http.Client.CloseIdleConnections asks it to.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Validate returns an error that names the first invalid field and a valid value.
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

// isToken reports whether all of name's characters are allowed in the name of a header (RFC 9110,
// 5.6.2).
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

// isNetHTTP reports whether net/http alone makes the attempts. What wraps it may have sent a
// request by another way before net/http had no connection for it.
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
