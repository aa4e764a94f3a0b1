package batch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/request"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundhttp"
)

// keptBuffer is the size up to which a worker keeps its buffer for the next row.
const keptBuffer = 64 << 10 // bytes

// worker sends rows, one at a time. Its policy and context are made once, because making them for
// each call would take a large part of the time that a row takes.
type worker struct {
	*sender
	ctx    context.Context // of the calls
	cancel context.CancelFunc
	blank  *http.Request        // is copied for each row; it has the context of a first round
	policy *rebound.Policy      // of a row's first round
	call   atomic.Pointer[call] // the current call; nil = none
	buf    bytes.Buffer         // for the answer
	line   []byte               // buffer for the row's line
}

type workerKey struct{}

// callOf returns the current call of the worker whose context it is.
func callOf(ctx context.Context) *call {
	return ctx.Value(workerKey{}).(*worker).call.Load()
}

// newWorker returns a worker whose calls end with ctx. stop must be called after the last call.
func (s *sender) newWorker(ctx context.Context) (w *worker, stop func()) {
	w = &worker{sender: s, policy: s.policy.Clone()}
	next := w.policy.Observe
	w.policy.Observe = func(ctx context.Context, e rebound.Event) {
		w.call.Load().observe(e)
		if e.Kind == rebound.Retrying && s.hire != nil {
			s.hire()
		}
		if next != nil {
			next(ctx, e)
		}
	}
	if s.b.pace != nil {
		w.policy.Gates = append(w.policy.Gates, pacing{w.call.Load})
	}
	w.policy.Gates = append(w.policy.Gates, s.flight, w)
	if b := w.policy.Breaker; b != nil {
		w.policy.Gates = append(w.policy.Gates, outage.Gate{Breaker: b, Service: &s.service,
			Row: func() *outage.History { return w.call.Load().history }})
		w.policy.Breaker = nil
	}
	w.policy = w.limited(s.b.o.RowAttempts)
	w.ctx, w.cancel = context.WithCancel(context.WithValue(ctx, workerKey{}, w))
	w.blank = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).
		WithContext(reboundhttp.WithPolicy(w.ctx, w.policy))
	ended := context.AfterFunc(s.b.feeding, func() { w.giveUp(w.call.Load()) })
	return w, func() {
		ended()
		w.cancel()
	}
}

// limited returns the worker's policy, with at most that many attempts.
func (w *worker) limited(attempts int) *rebound.Policy {
	if n := w.policy.MaxAttempts(); n > 0 && n <= attempts {
		return w.policy
	}
	p := w.policy.Clone()
	p.Attempts = attempts
	return p
}

// giveUp ends a call that still waited for a permit when the batch stopped. The worker makes no
// other call.
func (w *worker) giveUp(c *call) {
	if c != nil && c.place.CompareAndSwap(waiting, stopped) {
		w.cancel()
	}
}

// Enter marks the row before an attempt. The worker is the innermost gate of its policy.
func (w *worker) Enter(ctx context.Context) (gate.Pass, error) {
	return gate.Pass{}, w.call.Load().enter(ctx)
}

// Leave settles an attempt.
func (w *worker) Leave(_ gate.Pass, o gate.Outcome) { w.call.Load().leave(o) }

// unreadable is the error of a row that can no longer be sent, although it passed the check.
type unreadable struct{ error }

// answer is the result of a round.
type answer struct {
	*call
	resp *http.Response // its body has been read and closed; nil = none
	body []byte
	room []byte // buffer for the row's line
	err  error  // nil = success
}

// send makes one round of attempts for a row.
func (w *worker) send(j *queue.Job) answer {
	a := w.prepare(j)
	if a.err != nil {
		return a
	}
	w.call.Store(a.call)
	defer w.call.Store(nil)
	if w.b.feeding.Err() != nil {
		w.giveUp(a.call)
	}
	weight := min(a.req.ContentLength, maxBodies)
	if a.err = w.bodies.Acquire(w.ctx, weight); a.err != nil {
		return a
	}
	defer w.bodies.Release(weight)
	a.since = time.Now()
	a.resp, a.err = w.client.RoundTrip(w.request(j, a.req))
	a.read(&w.buf)
	if w.buf.Cap() > keptBuffer {
		w.buf = bytes.Buffer{}
	}
	return a
}

// prepare makes the call of a row, and its request.
func (w *worker) prepare(j *queue.Job) answer {
	b, req := w.b, new(http.Request)
	*req = *w.blank
	b.requests.SetHead(req, j.Row)
	a := answer{room: w.line[:0], call: &call{b: b, places: w.places, row: j.Row, req: req,
		before: j.Lost, history: &j.History, began: time.Now(),
		repeatable: b.o.InDoubt == "redo" || request.Repeatable(req)}}
	body, err := b.in.Files.Body(j.Row)
	if err == nil {
		request.SetBody(req, body)
		if a.most, err = b.prices.Most(req); b.o.Budget == 0 {
			err = nil
		}
	}
	if err != nil {
		a.err = unreadable{err}
	}
	return a
}

// request returns req with the policy of the round: only the attempts that the row has left.
func (w *worker) request(j *queue.Job, req *http.Request) *http.Request {
	if j.Attempts == 0 {
		return req
	}
	left := w.limited(w.b.o.RowAttempts - j.Attempts)
	return req.WithContext(reboundhttp.WithPolicy(w.ctx, left))
}

// reuse keeps the buffer of a line that was stored, for the next row.
func (w *worker) reuse(line []byte) {
	if cap(line) <= keptBuffer {
		w.line = line
	}
}

// read reads the body into buf. A status that is not a success sets a.err.
func (a *answer) read(buf *bytes.Buffer) {
	if a.err != nil {
		return
	}
	defer a.resp.Body.Close()
	buf.Reset()
	_, a.err = buf.ReadFrom(a.resp.Body)
	a.body = buf.Bytes()
	made := reboundhttp.CallOf(a.resp)
	switch {
	case a.err != nil:
		a.maybe = true
	case made.Err != nil:
		a.err = made.Err
	case a.resp.StatusCode >= 300:
		a.err = rebound.Permanent(fmt.Errorf("status %d: redirects are not followed",
			a.resp.StatusCode))
	}
}
