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

// These names are part of gRPC's protocol: gRFC A6, "Client Retry Design".
const (
	pushbackKey = "grpc-retry-pushback-ms"
	previousKey = "grpc-previous-rpc-attempts"
)

// pushback is the request about retries in a server's trailer. The zero pushback is none.
type pushback struct {
	asked bool
	stop  bool          // no retry
	delay time.Duration // before the retry; 0 if stop
}

// maxPushback, in milliseconds, keeps the delay within a time.Duration. Policies do not obey far
// shorter delays.
const maxPushback = 1 << 40

// pushbackOf parses a trailer. By gRFC A6, the client must not retry if the value is anything but a
// single whole number of 0 or more.
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

// attemptError is the error of an attempt, with the facts that the interceptor adds.
type attemptError struct {
	err      error
	pushback pushback
	unsent   bool // gRPC never opened a stream for it
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// DescribeFault returns fault.Of the error, with the interceptor's facts.
func (e *attemptError) DescribeFault() fault.Fault { return e.apply(fault.Of(e.err)) }

// apply adds the interceptor's facts to f. A server that asks for a delay is overloaded. If the
// server asks for no retry, the fault is Final, so that the layers above do not retry either.
func (e *attemptError) apply(f fault.Fault) fault.Fault {
	// Only the interceptor can detect this. gRPC's status is the same as after a broken connection.
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

// failure returns the error of an attempt with the facts about the attempt. Without such facts it
// returns err itself, because callers may compare it.
func failure(err error, trailer metadata.MD, unsent bool) error {
	push := pushbackOf(trailer)
	if !push.asked && !unsent {
		return err
	}
	return &attemptError{err: err, pushback: push, unsent: unsent}
}

// derive returns p or, if p has a Classify, a copy whose Classify adds the facts of attemptErrors.
// Without a Classify, fault.Of adds them. The copy draws on p's budget.
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
	// Nil means that p has no budget. A copy with a nil Budget would get one of its own.
	if d.Budget = p.RetryBudget(); d.Budget == nil {
		d.Budget = budget.Unlimited
	}
	return d
}

// retry follows an attempt of l that failed with err. It returns nil when the next attempt is due,
// or the error of the call. The server's pushback replaces the policy's delay, even a longer one.
// Jitter lengthens the pushback by up to a quarter.
func retry(l *rebound.Loop, err error) error {
	// The fault includes the delay, so MaxRetryAfter bounds pushback too.
	d := l.Decide(err)
	delay := d.Delay
	e, ok := err.(*attemptError)
	pushed := ok && e.pushback.asked && !e.pushback.stop
	if pushed {
		delay = e.pushback.delay
		delay += time.Duration(rand.Float64() * float64(delay) / 4)
	}
	// The policy's own delay was too long, but the pushback may be short enough.
	late := d.Reason == rebound.PastDeadline || d.Reason == rebound.PastElapsed
	if d.Retry || pushed && late { // Retry compares the delay with the time left
		return l.Retry(delay)
	}
	return l.Stop(d.Reason, nil)
}

// withPrevious returns ctx with the number of earlier attempts in the call's metadata.
func withPrevious(ctx context.Context, n int) context.Context {
	if n == 0 {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = metadata.MD{}
	}
	// Set, not Append, because a proxy may have copied the metadata of the call that it serves.
	md.Set(previousKey, strconv.Itoa(n))
	return metadata.NewOutgoingContext(ctx, md)
}

// splitOnFinish separates the callbacks from opts. gRPC would call them after every attempt, but
// they are meant for the whole call.
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
	// The usual case. The capacity is cut, so that an append does not write to the caller's array.
	if callbacks == nil {
		return opts[:len(opts):len(opts)], nil
	}
	return rest, callbacks
}
