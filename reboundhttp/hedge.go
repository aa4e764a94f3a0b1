package reboundhttp

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/hedge"
)

// legs are the concurrent attempts that form one hedged attempt of the policy. Each leg passes the
// policy's gates by itself, and has the timeouts of an attempt.
type legs struct {
	state rebound.State // of the call
	since time.Time     // of state

	// mu guards the fields below it: the legs run in their own goroutines.
	mu   sync.Mutex
	rt   roundTrip // what they have in common
	sent []*leg
}

// leg is one attempt. The context of its request ends when another leg has answered, or else when
// the body of its response is closed.
type leg struct {
	roundTrip
	cancel context.CancelCauseFunc
}

// ending is how a leg ended.
type ending struct {
	leg    *leg // nil if it was not admitted
	resp   *http.Response
	reason rebound.Reason // why it was not admitted
}

// hedged makes the next attempt of l's call, with hedges. If stop is not nil, it is the error that
// ends the call.
func (rt *roundTrip) hedged(l *rebound.Loop) (resp *http.Response, failed, stop error) {
	s := &legs{state: l.State(), since: time.Now(), rt: *rt}
	out, err := s.run()
	*rt = s.rt
	switch {
	case err == nil:
		return out.resp, nil, nil
	case out.reason == rebound.Rejected:
		return nil, err, l.Stop(out.reason, err)
	case out.reason != "":
		return nil, err, l.Stop(out.reason, nil)
	}
	return nil, err, nil
}

// run makes the legs, and records in s.rt what they did.
func (s *legs) run() (out ending, err error) {
	defer func() {
		// Whatever the legs did belongs to the call: attempts, and connections that must be released.
		for i, g := range s.sent {
			s.rt.resent += g.resent
			if i > 0 {
				s.rt.hedges++
			}
			if g == out.leg {
				s.rt.bad, s.rt.hedgeWon = g.bad, i > 0
			} else {
				g.discard()
			}
		}
	}()
	ctx := s.rt.req.Context()
	if s.rt.noHedge {
		return s.attempt(ctx)
	}
	return hedge.Do(ctx, s.rt.plan.hedge, s.attempt, func(e ending) { closeResponse(e.resp) })
}

// attempt makes one leg. If its failure shows that the server is short of room, hedging ends for
// the rest of the call, retries included. hedge.Do ends it for this attempt in the same case.
func (s *legs) attempt(ctx context.Context) (e ending, err error) {
	// No hedge starts while the leg waits in a gate: the hedge would only wait in the same queue.
	queued := s.rt.gate != nil || len(s.rt.plan.policy.Gates) > 0
	if queued {
		hedge.Hold(ctx)
	}
	state := s.state
	state.Elapsed += time.Since(s.since)
	// Each leg has its own Loop, because a Loop serves one goroutine.
	l := rebound.Resume(ctx, s.rt.plan.policy, state)
	l.Gate = s.rt.gate
	e.resp, err = rebound.Try(&l, func(ctx context.Context) (*http.Response, error) {
		if queued {
			hedge.Resume(ctx)
		}
		e.leg = s.admit()
		return e.leg.attempt(ctx)
	})
	if err == nil {
		return e, nil
	}
	if e.leg == nil {
		e.reason = l.Decide(err).Reason
	}
	f := l.Fault()
	if f.Kind == fault.RateLimited || f.Kind == fault.Overloaded || f.After > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rt.noHedge = true
	}
	return e, err
}

// admit returns a leg to be sent. The first leg inherits the response of the attempt before, to
// discard it.
func (s *legs) admit() *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		s.rt.begin()
	}
	g := &leg{roundTrip: s.rt}
	s.rt.bad = nil
	// The legs count for themselves; run adds them up at the end.
	g.resent, g.hedges = 0, s.rt.hedges+len(s.sent)
	g.hedge = len(s.sent) > 0
	ctx, cancel := context.WithCancelCause(s.rt.req.Context())
	g.cancel = cancel
	g.rec = newRecord(ctx, s.rt.t, s.rt.plan)
	g.rec.req = *s.rt.out.WithContext(g.rec)
	g.out = &g.rec.req
	s.sent = append(s.sent, g)
	return g
}

// attempt sends the leg's request. ctx ends when another leg has answered, which must also end the
// request.
func (g *leg) attempt(ctx context.Context) (resp *http.Response, err error) {
	// ctx ends with this call of hedge.Do, but the response's body needs its context for longer.
	stop := context.AfterFunc(ctx, func() { g.cancel(context.Cause(ctx)) })
	kept := false
	defer func() {
		if !kept {
			stop()
			g.cancel(nil)
		}
	}()
	resp, err = g.send(ctx)
	// Another leg has answered, or the call has ended. The response must not leak its connection.
	if !stop() {
		if resp != nil {
			closeResponse(resp)
			return nil, ctx.Err()
		}
		return nil, err
	}
	switch {
	case err == nil:
		g.keep(resp)
		kept = true
	case g.bad != nil:
		g.keep(g.bad)
		kept = true
	}
	return resp, err
}

// keep lets the leg's context live until the response's body is closed.
func (g *leg) keep(resp *http.Response) {
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	b := &legBody{resp.Body, g.cancel}
	resp.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // the connection of a 101
		resp.Body = &switchedLeg{b, w}
	}
}

// legBody is the response body of the leg that is returned. Its Close ends the leg's context.
type legBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *legBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// switchedLeg is legBody for a connection that was upgraded to another protocol, which is written
// to through the body.
type switchedLeg struct {
	*legBody
	io.Writer
}
