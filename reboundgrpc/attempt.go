package reboundgrpc

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// The names are those of gRFC A6. They are part of gRPC's protocol.
const (
	pushbackKey = "grpc-retry-pushback-ms"
	previousKey = "grpc-previous-rpc-attempts"
)

// pushback is what a server's trailer asks for. The zero pushback is none.
type pushback struct {
	asked bool
	stop  bool          // no retry
	delay time.Duration // until the retry, if not stop
}

// maxPushback keeps a delay in milliseconds a time.Duration. Policies reject far shorter ones.
const maxPushback = 1 << 40

// pushbackOf reads a trailer. As gRFC A6 has it, what is not one whole number of 0 or more is a
// request to stop.
func pushbackOf(trailer metadata.MD) pushback {
	values := trailer[pushbackKey]
	if len(values) == 0 {
		return pushback{}
	}
	p := pushback{asked: true}
	ms, err := strconv.ParseInt(values[0], 10, 64)
	if len(values) > 1 || err != nil || ms < 0 {
		p.stop = true
		return p
	}
	p.delay = time.Duration(min(ms, maxPushback)) * time.Millisecond
	return p
}

// attemptError adds to the error of an attempt what the interceptor found out about the attempt.
type attemptError struct {
	err      error
	pushback pushback
	unsent   bool // gRPC never opened a stream for it
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// DescribeFault returns fault.Of of the error with the interceptor's additions.
func (e *attemptError) DescribeFault() fault.Fault { return e.apply(fault.Of(e.err)) }

// apply adds to f. A server that asks for a delay has no room, and one that asks to stop has
// spoken for all layers above.
func (e *attemptError) apply(f fault.Fault) fault.Fault {
	if e.unsent {
		f.Sent = fault.NotSent
	}
	if e.pushback.stop {
		f.Detail = strings.TrimPrefix(f.Detail+", pushback: no retry", ", ")
		f.Final = true
	}
	if e.pushback.asked {
		f.After = e.pushback.delay
		if f.Kind == fault.Transient && e.pushback.delay > 0 {
			f.Kind = fault.Overloaded
		}
	}
	f.Err = e
	return f
}

// failure leaves most errors as they are: they need no wrapper, which others would have to unwrap.
// It returns the error of an attempt with what is known about the attempt.
func failure(err error, trailer metadata.MD, unsent bool) error {
	push := pushbackOf(trailer)
	if !push.asked && !unsent {
		return err
	}
	return &attemptError{err: err, pushback: push, unsent: unsent}
}

// derive returns p, or, if p has a Classify, a policy like it whose Classify knows attemptErrors.
// Without one fault.Of reads them. Both draw on the same budget.
func derive(p *rebound.Policy) *rebound.Policy {
	if p == nil || p.Classify == nil {
		return p
	}
	d := p.Clone()
	own := p.Classify
	d.Classify = func(err error) fault.Fault {
		f := own(err)
		if e, ok := err.(*attemptError); ok {
			f = e.apply(f)
		}
		return f
	}
	if d.Budget = p.RetryBudget(); d.Budget == nil {
		d.Budget = budget.Unlimited
	}
	return d
}

// retry follows an attempt of l that failed with err: it returns nil when the next attempt is due,
// or else the error of the call. The delay that a server asks for replaces the policy's own, also
// where that is longer. Jitter lengthens the delay by up to a quarter.
func retry(l *rebound.Loop, err error) error {
	// The fault that Decide sees has the delay, so that MaxRetryAfter bounds pushback, too.
	d := l.Decide(err)
	delay := d.Delay
	e, ok := err.(*attemptError)
	pushed := ok && e.pushback.asked && !e.pushback.stop
	if pushed {
		delay = e.pushback.delay
		delay += time.Duration(rand.Float64() * float64(delay) / 4)
	}
	late := d.Reason == rebound.PastDeadline || d.Reason == rebound.PastElapsed
	if d.Retry || pushed && late { // Retry compares the delay to what is left
		return l.Retry(delay)
	}
	return l.Stop(d.Reason, nil)
}

// withPrevious returns ctx with the number of attempts before this one in the call's metadata.
func withPrevious(ctx context.Context, n int) context.Context {
	if n == 0 {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = metadata.MD{}
	}
	// Set, because a proxy may have copied the metadata of the call that it serves.
	md.Set(previousKey, strconv.Itoa(n))
	return metadata.NewOutgoingContext(ctx, md)
}

// splitOnFinish takes the callbacks out of opts: gRPC would call them after every attempt, and
// they are for the call.
func splitOnFinish(opts []grpc.CallOption) (rest []grpc.CallOption, callbacks []func(error)) {
	for i, o := range opts {
		f, ok := o.(grpc.OnFinishCallOption)
		switch {
		case !ok && callbacks != nil:
			rest = append(rest, o)
		case ok && callbacks == nil:
			rest = append(rest, opts[:i]...)
			fallthrough
		case ok:
			callbacks = append(callbacks, f.OnFinish)
		}
	}
	if callbacks == nil {
		return opts[:len(opts):len(opts)], nil
	}
	return rest, callbacks
}
