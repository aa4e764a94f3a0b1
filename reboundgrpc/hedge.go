package reboundgrpc

import (
	"context"
	"reflect"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
)

// legs are the concurrent attempts that form one hedged attempt of the policy. Each leg passes the
// policy's gates by itself, and has the timeout of an attempt.
type legs struct {
	u     *unary
	kind  protoreflect.MessageType // of the reply; nil if the reply is not a Protobuf message
	state rebound.State            // of the call
	since time.Time                // of state

	// mu guards begun and u.attempts. The first leg runs on the caller's goroutine, and each hedge on
	// its own.
	mu    sync.Mutex
	begun int
}

// leg is one of these attempts. The first leg uses the reply and the options of the caller. The
// others have their own.
type leg struct {
	reply    any
	opts     []grpc.CallOption
	outputs  []func() // each copies what an option has received to the caller
	admitted bool     // by the gates
	reason   rebound.Reason
}

// hedged makes the next attempt of l's call, with hedges. If stop is not nil, it is the error that
// ends the call.
func (u *unary) hedged(ctx context.Context, l *rebound.Loop) (failed, stop error) {
	s := &legs{u: u, state: l.State(), since: time.Now()}
	// The type is read before a leg writes to the reply, because ProtoReflect reads the message.
	if m, ok := u.reply.(proto.Message); ok {
		s.kind = m.ProtoReflect().Type()
	}
	g, err := hedge.Do(ctx, u.hedge, s.attempt, nil)
	switch {
	case err == nil:
		// All legs have ended, so none of them writes to the reply any more.
		g.deliver(u.reply)
		return nil, nil
	case g == nil || g.admitted:
		return err, nil
	case g.reason == rebound.Rejected:
		return err, l.Stop(g.reason, err)
	}
	return err, l.Stop(g.reason, nil)
}

// attempt makes one leg.
func (s *legs) attempt(ctx context.Context) (*leg, error) {
	g := s.begin()
	// No hedge starts while the leg waits in a gate: the hedge would only wait in the same queue.
	queued := s.u.policy != nil && len(s.u.policy.Gates) > 0
	if queued {
		hedge.Hold(ctx)
	}
	// Each leg has its own Loop, because a Loop serves one goroutine. The Loop makes one attempt.
	state := s.state
	state.Elapsed += time.Since(s.since)
	l := rebound.Resume(ctx, s.u.policy, state)
	_, err := rebound.Try(&l, func(ctx context.Context) (struct{}, error) {
		if queued {
			hedge.Resume(ctx)
		}
		// From here on the server may have got the call.
		g.admitted = true
		var w wire
		return struct{}{}, w.invoke(withPrevious(ctx, s.admit()), s.u, g.reply, g.opts)
	})
	if !g.admitted {
		g.reason = l.Decide(err).Reason
	}
	return g, err
}

// begin returns the next leg. A hedge may call it before the first leg does.
func (s *legs) begin() *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	// The first leg needs no copies, and most calls have no other leg.
	if s.begun == 1 {
		resetOutputs(s.u.opts)
		return &leg{reply: s.u.reply, opts: s.u.opts}
	}
	g := &leg{reply: s.newReply()}
	g.opts, g.outputs = ownOutputs(s.u.opts)
	return g
}

// admit returns how many attempts of the call were sent before this one.
func (s *legs) admit() (before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.u.attempts++
	return s.u.attempts - 1
}

// deliver copies the leg's reply and outputs to the caller. The other legs have ended.
func (g *leg) deliver(reply any) {
	// The first leg has written to the caller's reply and outputs itself.
	if g.reply == reply {
		return
	}
	for _, copyOutput := range g.outputs {
		copyOutput()
	}
	// A message holds internal state, so it must not be copied by assignment.
	if m, ok := reply.(proto.Message); ok {
		proto.Reset(m)
		proto.Merge(m, g.reply.(proto.Message))
		return
	}
	// A message of another codec is plain data.
	reflect.ValueOf(reply).Elem().Set(reflect.ValueOf(g.reply).Elem())
}

// newReply returns an empty message of the reply's type.
func (s *legs) newReply() any {
	if s.kind != nil {
		return s.kind.New().Interface()
	}
	return reflect.New(reflect.TypeOf(s.u.reply).Elem()).Interface()
}

// hedgeable reports whether legs can have their own replies.
func hedgeable(reply any) bool {
	// A reply that is not a pointer belongs to the caller's own codec. No second reply can be made.
	v := reflect.ValueOf(reply)
	return v.Kind() == reflect.Pointer && !v.IsNil()
}

// ownOutputs returns opts with new outputs, because legs would otherwise write to the caller's
// outputs at the same time. It also returns the functions that copy the new outputs to the
// caller's. Other options only configure the call, so all legs may share them.
func ownOutputs(opts []grpc.CallOption) (own []grpc.CallOption, copies []func()) {
	own = make([]grpc.CallOption, len(opts), len(opts)+2)
	for i, o := range opts {
		switch caller := o.(type) {
		case grpc.HeaderCallOption:
			var md metadata.MD
			o = grpc.Header(&md)
			copies = append(copies, func() { *caller.HeaderAddr = md })
		case grpc.TrailerCallOption:
			var md metadata.MD
			o = grpc.Trailer(&md)
			copies = append(copies, func() { *caller.TrailerAddr = md })
		case grpc.PeerCallOption:
			var p peer.Peer
			o = grpc.Peer(&p)
			copies = append(copies, func() { *caller.PeerAddr = p })
		}
		own[i] = o
	}
	return own, copies
}

// outside returns the policy of the loop around the legs: p without the timeout, the breaker and
// the gates, which each leg has for itself.
func outside(p *rebound.Policy) *rebound.Policy {
	out := p.Clone()
	// Each leg has the timeout, so the loop around the legs must not have it, too.
	out.AttemptTimeout = 0
	out.Breaker = nil
	out.Gates = []gate.Gate{foresight{p}}
	if out.Budget = p.RetryBudget(); out.Budget == nil {
		out.Budget = budget.Unlimited
	}
	return out
}

// foresight is a gate that admits everything, because the legs pass the policy's gates themselves.
// Before a delay, it returns the rejection that the policy's gates foresee.
type foresight struct{ policy *rebound.Policy }

func (foresight) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, nil }
func (foresight) Leave(gate.Pass, gate.Outcome)            {}

// Validate validates the policy itself, as a part of the policy that has this gate.
func (f foresight) Validate() error { return f.policy.Validate() }

// Refusal returns the error with which a gate would reject an attempt after a delay of d.
func (f foresight) Refusal(d time.Duration) error {
	if f.policy == nil {
		return nil
	}
	// The breaker comes first, as in a Loop without hedges.
	gates := f.policy.Gates
	if b := f.policy.Breaker; b != nil {
		gates = append([]gate.Gate{b}, gates...)
	}
	for _, g := range gates {
		if r, ok := g.(interface{ Refusal(time.Duration) error }); ok {
			if err := r.Refusal(d); err != nil {
				return err
			}
		}
	}
	return nil
}
