package reboundhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// limits end an attempt that takes too long. They are the attempt's context, which ends when the
// body of the response is closed.
type limits struct {
	context.Context
	cancel context.CancelCauseFunc
	end    time.Time     // of the attempt, its body included; zero = none
	late   *timeoutError // what whole cancels it with
	whole  *time.Timer   // the attempt, its body included
	header *time.Timer   // the attempt, until the response's header is there
	slow   *timeoutError // what header cancels it with
	bound  func() bool   // stops MaxElapsed from ending it; returns false if it has
	idle   time.Duration // a Read of the body

	// The use of the connection has to be released exactly once, by whichever comes first: the end of
	// the attempt or the Close of the body.
	bare    bool        // only the use of the connection is watched
	slept   atomic.Bool // Base, or its body, returned a timeout
	ended   sync.Once
	release func(timeout bool) // ends the use of the connection
}

// timeouts are the limits of an attempt; 0 = none.
type timeouts struct {
	attempt, firstByte, idle, elapsed time.Duration

	base bool // Base has its own timeouts, so a connection may be dead
}

// start returns the limits of an attempt within ctx, or nil if there are none. bound is the context
// that MaxElapsed ends.
func (t *timeouts) start(ctx, bound context.Context) *limits {
	if t == nil {
		return nil
	}
	// There is nothing to time here, but Base's own timeouts leave connections that may be dead.
	if *t == (timeouts{base: true}) {
		return &limits{Context: ctx, cancel: func(error) {}, bare: true}
	}
	l := &limits{idle: t.idle}
	l.Context, l.cancel = context.WithCancelCause(ctx)
	// The end is kept as a time as well, for Deadline.
	if d := t.attempt; d > 0 {
		l.end = time.Now().Add(d)
		l.late = &timeoutError{"the attempt's %v were up", d}
		l.whole = l.timer(l.late)
	}
	if t.elapsed > 0 {
		l.bound = context.AfterFunc(bound, func() { l.cancel(context.Cause(bound)) })
	}
	if d := t.firstByte; d > 0 {
		l.slow = &timeoutError{"no response within %v", d}
		l.header = l.timer(l.slow)
	}
	return l
}

// Deadline returns the end of AttemptTimeout, or that of the request's context if it is sooner.
func (l *limits) Deadline() (time.Time, bool) {
	outer, ok := l.Context.Deadline()
	// Base may pass the deadline on, for example to a dialer.
	if l.end.IsZero() || ok && outer.Before(l.end) {
		return outer, ok
	}
	return l.end, true
}

// timer cancels the attempt after e.d. It is a timer and not a deadline, because it can be stopped
// once the header has arrived.
func (l *limits) timer(e *timeoutError) *time.Timer {
	return time.AfterFunc(e.d, func() { l.cancel(e) })
}

// timeoutError is the limit that an attempt has exceeded.
type timeoutError struct {
	text string
	d    time.Duration
}

func (e *timeoutError) Error() string { return "reboundhttp: " + fmt.Sprintf(e.text, e.d) }
func (e *timeoutError) Timeout() bool { return true }

// Is matches context.DeadlineExceeded, as net/http's own timeouts do.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// settle handles the outcome of the attempt. A response stays under the limits that remain.
func (l *limits) settle(resp *http.Response, err error) (*http.Response, error) {
	// The timer has fired, but its function may not have run yet.
	if l.header != nil && !l.header.Stop() {
		l.cancel(l.slow) // as the timer is about to do
	}
	// A Base that watches the deadline itself may return before the timer fires.
	if err != nil && l.late != nil && !time.Now().Before(l.end) {
		l.cancel(l.late)
	}
	// MaxElapsed ended just before the response arrived. After this point MaxElapsed never ends a
	// body.
	if l.bound != nil && !l.bound() && err == nil {
		err = context.DeadlineExceeded
		closeResponse(resp)
	}
	// A test's Base may leave the body out, but the wrapper needs one.
	if err == nil && resp.Body == nil {
		resp.Body = http.NoBody
	}
	if limit := l.passed(); limit != nil {
		if err == nil {
			closeResponse(resp)
		}
		err = limit
	}
	if err != nil {
		l.slept.Store(fault.IsTimeout(err))
		l.stop()
		return nil, err
	}
	body := &limitedBody{body: resp.Body, limits: l}
	resp.Body = body
	if w, ok := body.body.(io.Writer); ok { // the connection of a 101, which is no response's
		stop(l.whole)
		l.idle = 0
		resp.Body = &switchedBody{body, w}
	}
	return resp, nil
}

func closeResponse(resp *http.Response) {
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
}

// passed returns the limit that was exceeded, or nil. net/http returns errors of many kinds when a
// context ends, but the cause is always the limit's own error.
func (l *limits) passed() error {
	if e, ok := context.Cause(l).(*timeoutError); ok {
		return e
	}
	return nil
}

// stop ends the attempt and releases its connection, once. A timeout releases it as suspect.
func (l *limits) stop() {
	stop(l.whole)
	l.ended.Do(func() {
		l.release(l.slept.Load() || errors.Is(context.Cause(l), context.DeadlineExceeded))
	})
	l.cancel(nil)
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// limitedBody is the body of a response that is still under limits.
type limitedBody struct {
	body   io.ReadCloser
	limits *limits
	idle   *time.Timer
}

func (b *limitedBody) Read(p []byte) (int, error) {
	l := b.limits
	switch {
	case l.idle == 0:
	case b.idle == nil:
		b.idle = l.timer(&timeoutError{"no data for %v", l.idle})
	default:
		b.idle.Reset(l.idle)
	}
	n, err := b.body.Read(p)
	// The time in which the caller works with the data does not count.
	stop(b.idle)
	if err == nil {
		return n, nil
	}
	stop(l.whole)
	if err != io.EOF {
		if limit := l.passed(); limit != nil {
			err = limit
		}
		l.slept.Store(fault.IsTimeout(err))
	}
	return n, err
}

func (b *limitedBody) Close() error {
	err := b.body.Close()
	b.limits.stop()
	return err
}

// switchedBody is limitedBody for a connection that was upgraded to another protocol, which is
// written to through the body.
type switchedBody struct {
	*limitedBody
	io.Writer
}
