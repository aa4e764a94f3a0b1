package batch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/request"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundhttp"
)

// keptBuffer is how large a buffer of a worker stays, for the answer to its next row.
const keptBuffer = 64 << 10 // bytes

// worker sends rows, one at a time. What its calls share is made once: a policy and a context for
// each call would be a good part of what a row costs.
type worker struct {
	*sender
	ctx    context.Context // of its calls
	cancel context.CancelFunc
	blank  *http.Request        // with the context of the first round of a row
	policy *rebound.Policy      // of the first round of a row
	call   atomic.Pointer[call] // under way; nil = none
	buf    bytes.Buffer         // of the answer
	line   []byte               // room for what becomes of it
}

type workerKey struct{}

// callOf is the call that a context of a worker is of.
func callOf(ctx context.Context) *call {
	return ctx.Value(workerKey{}).(*worker).call.Load()
}

// newWorker returns a worker whose calls end with ctx. Its stop must be called in the end.
func (s *sender) newWorker(ctx context.Context) (w *worker, stop func()) {
	w = &worker{sender: s, policy: s.policy.Clone()}
	next := w.policy.Observe
	w.policy.Observe = func(ctx context.Context, e rebound.Event) {
		w.call.Load().observe(e)
		if next != nil {
			next(ctx, e)
		}
	}
	if s.b.pace != nil {
		w.policy.Gates = append(w.policy.Gates, pacing{w.call.Load})
	}
	w.policy.Gates = append(w.policy.Gates, s.flight, w)
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

// limited is the worker's policy with so many attempts at most.
func (w *worker) limited(attempts int) *rebound.Policy {
	if n := w.policy.MaxAttempts(); n > 0 && n <= attempts {
		return w.policy
	}
	p := w.policy.Clone()
	p.Attempts = attempts
	return p
}

// giveUp ends a call that has waited for its turn until the batch stopped. No other follows.
func (w *worker) giveUp(c *call) {
	if c != nil && c.place.CompareAndSwap(waiting, stopped) {
		w.cancel()
	}
}

// Enter is the innermost of the policy's gates.
func (w *worker) Enter(ctx context.Context) (gate.Pass, error) {
	return gate.Pass{}, w.call.Load().enter(ctx)
}

// Leave is the end of an attempt.
func (w *worker) Leave(_ gate.Pass, o gate.Outcome) { w.call.Load().leave(o) }

// unreadable is the error of a row that cannot be sent, though it could when it was checked.
type unreadable struct{ error }

// answer is what came of a round of calls.
type answer struct {
	*call
	resp *http.Response // its body was read and closed; nil = none
	body []byte
	room []byte // for its line
	err  error  // nil = a good answer
}

// send makes one round of calls for a row.
func (w *worker) send(j queue.Job) answer {
	b, req := w.b, new(http.Request)
	*req = *w.blank
	b.requests.SetHead(req, j.Row)
	a := answer{room: w.line[:0], call: &call{b: b, places: w.places, row: j.Row, req: req,
		before: j.Lost, began: time.Now(),
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
		return a
	}
	w.call.Store(a.call)
	defer w.call.Store(nil)
	if b.feeding.Err() != nil {
		w.giveUp(a.call)
	}
	weight := min(int64(len(body)), maxBodies)
	if a.err = w.bodies.Acquire(w.ctx, weight); a.err != nil {
		return a
	}
	defer w.bodies.Release(weight)
	a.since = time.Now()
	if j.Attempts > 0 {
		left := w.limited(b.o.RowAttempts - j.Attempts)
		req = req.WithContext(reboundhttp.WithPolicy(w.ctx, left))
	}
	a.resp, a.err = w.client.RoundTrip(req)
	a.read(&w.buf)
	if w.buf.Cap() > keptBuffer {
		w.buf = bytes.Buffer{}
	}
	return a
}

// reuse keeps a line that was written, for the next one to take its room.
func (w *worker) reuse(line []byte) {
	if cap(line) <= keptBuffer {
		w.line = line
	}
}

// read reads the body of the response into buf, and the error of a response that is none.
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
