package reboundgrpc_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// hedged returns a client of p whose calls are hedged by h.
func hedged(p *rebound.Policy, h *hedge.Hedge) *reboundgrpc.Client {
	return &reboundgrpc.Client{
		Policy:   p,
		HedgeFor: func(string) *hedge.Hedge { return h },
	}
}

// slowFirst is a service where the first attempt of a call hangs until it is canceled, which gone
// reports. Either attempt may arrive first.
func slowFirst(gone chan<- error) *service {
	return &service{unary: func(ctx context.Context, _ int, _ *text) (*text, error) {
		in, _ := metadata.FromIncomingContext(ctx)
		leg := strings.Join(in["grpc-previous-rpc-attempts"], "")
		_ = grpc.SetHeader(ctx, metadata.Pairs("leg", leg))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("leg", leg))
		if leg == "" {
			<-ctx.Done()
			gone <- ctx.Err()
			return nil, ctx.Err()
		}
		return wrapperspb.String("answer"), nil
	}}
}

func TestHedgeWins(t *testing.T) {
	checkGoroutines(t)
	gone := make(chan error, 1)
	s := slowFirst(gone)
	addr, _ := serve(t, s)
	b := &breaker.Breaker{}
	p := quick(3)
	p.Breaker = b
	var events []rebound.Event
	p.Observe = func(_ context.Context, e rebound.Event) { events = append(events, e) }
	h := &hedge.Hedge{After: time.Millisecond}
	conn := dialClient(t, addr, hedged(p, h))
	ready(t, conn)

	var header, trailer metadata.MD
	var from peer.Peer
	finished := 0
	got, err := call(t.Context(), conn, grpc.Header(&header), grpc.Trailer(&trailer),
		grpc.Peer(&from), grpc.OnFinish(func(error) { finished++ }))
	if got != "answer" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := <-gone; err != context.Canceled {
		t.Errorf("the loser ended with %v", err)
	}
	if h := header["leg"]; !slices.Equal(h, []string{"1"}) {
		t.Errorf("the header is of the attempt after %q", h)
	}
	if tr := trailer["leg"]; !slices.Equal(tr, []string{"1"}) || from.Addr == nil {
		t.Errorf("the trailer is of the attempt after %q, the peer %v", tr, from.Addr)
	}
	slices.Sort(s.previous)
	if want := []string{"", "1"}; !slices.Equal(s.previous, want) {
		t.Errorf("the calls had %q, want %q", s.previous, want)
	}
	if finished != 1 || h.Snapshot().Won != 1 {
		t.Errorf("%d callbacks, hedges %+v", finished, h.Snapshot())
	}
	if len(events) != 1 || events[0].Kind != rebound.Succeeded || events[0].Attempt != 1 {
		t.Errorf("events %+v", events)
	}
	// The breaker counted two attempts, and the canceled one is not a failure.
	if c := b.Snapshot(); c.Failures != 0 {
		t.Errorf("the breaker counts %+v", c)
	}
}

func TestNotHedged(t *testing.T) {
	h := &hedge.Hedge{After: time.Nanosecond}
	for name, c := range map[string]*reboundgrpc.Client{
		"not idempotent":          hedged(&rebound.Policy{NonIdempotent: true}, h),
		"no hedge for the method": hedged(nil, nil),
	} {
		s := failing(0, nil)
		addr, _ := serve(t, s)
		_, err := call(t.Context(), dialClient(t, addr, c))
		if err != nil || s.calls.Load() != 1 || h.Snapshot().Calls != 0 {
			t.Errorf("%s: %d calls, %v, hedges %+v", name, s.calls.Load(), err, h.Snapshot())
		}
	}
}

// Retries go around hedges, and the previous attempts count both.
func TestHedgeAndRetry(t *testing.T) {
	s := &service{}
	var arrived atomic.Int64
	both := make(chan struct{})
	s.unary = func(ctx context.Context, n int, _ *text) (*text, error) {
		if n > 2 {
			return wrapperspb.String("answer"), nil
		}
		if arrived.Add(1) == 2 {
			close(both)
		}
		<-both
		return nil, fail(codes.Unavailable)
	}
	addr, _ := serve(t, s)
	var attempts []int
	p := quick(3)
	p.Observe = func(_ context.Context, e rebound.Event) { attempts = append(attempts, e.Attempt) }
	c := hedged(p, &hedge.Hedge{After: time.Millisecond, Budget: &budget.Budget{
		Capacity: 1, Deposit: budget.None, Refill: budget.None, // one hedge in all
	}})
	if got, err := call(t.Context(), dialClient(t, addr, c)); got != "answer" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	slices.Sort(s.previous[:2])
	if want := []string{"", "1", "2"}; !slices.Equal(s.previous, want) {
		t.Errorf("the calls had %q, want %q", s.previous, want)
	}
	if want := []int{1, 2}; !slices.Equal(attempts, want) {
		t.Errorf("the events were of attempts %v, want %v", attempts, want)
	}
}

// A gate's rejection ends a hedged call like any other.
func TestHedgeRejected(t *testing.T) {
	b := &breaker.Breaker{}
	b.ForceOpen()
	full := &limit.Concurrency{Max: 1}
	if _, err := full.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*rebound.Policy{
		"breaker": {Breaker: b},
		"limit":   {Gates: []gate.Gate{full}},
	} {
		s := failing(0, nil)
		addr, _ := serve(t, s)
		_, plainErr := call(t.Context(), dial(t, addr, p))
		_, err := call(t.Context(), dialClient(t, addr, hedged(p, &hedge.Hedge{After: 1})))
		if s.calls.Load() != 0 || err == nil || err.Error() != plainErr.Error() ||
			status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %d calls, %v, code %v: want none, %v", name, s.calls.Load(), err,
				status.Code(err), plainErr)
		}
	}
}

// slowGate admits after 1.5 s.
type slowGate struct{ entered atomic.Int32 }

func (g *slowGate) Enter(context.Context) (gate.Pass, error) {
	g.entered.Add(1)
	<-time.After(1500 * time.Millisecond)
	return gate.Pass{}, nil
}

func (g *slowGate) Leave(gate.Pass, gate.Outcome) {}

// A call that waits in a gate is not hedged, and does not count as slow.
func TestHedgeDoesNotQueue(t *testing.T) {
	s, g := failing(0, nil), new(slowGate)
	addr, _ := serve(t, s)
	h := &hedge.Hedge{After: time.Second}
	conn := dialClient(t, addr, hedged(&rebound.Policy{Gates: []gate.Gate{g}}, h))
	if _, err := call(t.Context(), conn); err != nil {
		t.Error(err)
	}
	if g.entered.Load() != 1 || s.calls.Load() != 1 || h.Snapshot().Hedges != 0 {
		t.Errorf("%d in the gate, %d calls, %+v", g.entered.Load(), s.calls.Load(), h.Snapshot())
	}
}

func TestHedgeIsInvalid(t *testing.T) {
	addr, _ := serve(t, failing(0, nil))
	_, err := call(t.Context(), dialClient(t, addr, hedged(nil, &hedge.Hedge{Max: -1})))
	if err == nil {
		t.Error("an invalid hedge made a call")
	}
}

// The gates and the breaker are entered once for each leg.
func TestHedgePassesGatesOnce(t *testing.T) {
	s := failing(1, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	d := newDoor()
	b := &breaker.Breaker{Rate: .9, Window: time.Hour}
	p := quick(3)
	p.Gates, p.Breaker = []gate.Gate{d}, b
	c := hedged(p, &hedge.Hedge{After: time.Hour})
	if _, err := call(t.Context(), dialClient(t, addr, c)); err != nil {
		t.Fatal(err)
	}
	if o, n := len(d.outcomes), b.Snapshot(); o != 2 || n.Calls != 2 || n.Failed != 1 {
		t.Errorf("%d outcomes, breaker %+v: want 2 attempts, of which one failed", o, n)
	}
	if l := p.RetryBudget(); l.Level() > l.Size()-.5 {
		t.Errorf("the policy's budget is %v: the retry was not charged", l.Level())
	}
}

// Before a delay, the breaker is asked whether it would reject the attempt after it.
func TestHedgeForesees(t *testing.T) {
	s := failing(99, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	for _, p := range []*rebound.Policy{
		{Breaker: &breaker.Breaker{Failures: 1, Cooldown: 2 * time.Hour}},
		{Gates: []gate.Gate{&breaker.Breaker{Failures: 1, Cooldown: 2 * time.Hour}}},
	} {
		s.calls.Store(0)
		p.Backoff = backoffOf(time.Hour)
		c := hedged(p, &hedge.Hedge{After: time.Hour})
		_, err := call(t.Context(), dialClient(t, addr, c))
		if !errors.Is(err, rebound.Rejected) || s.calls.Load() != 1 {
			t.Errorf("%v after %d calls", err, s.calls.Load())
		}
	}
}

// MaxElapsed bounds the call and not each leg.
func TestHedgeMaxElapsed(t *testing.T) {
	s := &service{unary: func(ctx context.Context, _ int, _ *text) (*text, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	addr, _ := serve(t, s)
	p := quick(2)
	p.MaxElapsed = 1500 * time.Millisecond // long, because a loaded machine may start the hedge late
	var mu sync.Mutex
	var deadlines []time.Time
	record := grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		d, _ := ctx.Deadline()
		mu.Lock()
		deadlines = append(deadlines, d)
		mu.Unlock()
		return invoke(ctx, method, req, reply, cc, opts...)
	})
	conn := dialClient(t, addr, hedged(p, &hedge.Hedge{After: 300 * time.Millisecond}), record)
	_, err := call(t.Context(), conn)
	if !errors.Is(err, rebound.PastElapsed) || status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if len(deadlines) != 2 || deadlines[1].Sub(deadlines[0]).Abs() > 200*time.Millisecond {
		t.Errorf("the legs' deadlines are %v", deadlines)
	}
}

// A call with a reply that cannot exist twice is not hedged.
func TestHedgeOfNoReply(t *testing.T) {
	addr, _ := serve(t, failing(0, nil))
	h := &hedge.Hedge{After: time.Nanosecond}
	conn := dialClient(t, addr, hedged(quick(2), h))
	for _, reply := range []any{nil, 7} {
		err := conn.Invoke(t.Context(), unaryMethod, wrapperspb.String(""), reply)
		if status.Code(err) != codes.Internal || h.Snapshot().Calls != 0 {
			t.Errorf("%v: %v, hedges %+v", reply, err, h.Snapshot())
		}
	}
}

// plainCodec is a codec for messages that are not of protocol buffers.
type plainCodec struct{}

func (plainCodec) Name() string                  { return "plain" }
func (plainCodec) Marshal(v any) ([]byte, error) { return []byte(*v.(*string)), nil }
func (plainCodec) Unmarshal(data []byte, v any) error {
	*v.(*string) = string(data)
	return nil
}

func TestHedgeOfPlainMessages(t *testing.T) {
	gone := make(chan error, 1)
	s := slowFirst(gone)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(plainCodec{}))
	desc := s.desc()
	desc.Methods[0].Handler = func(
		_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
	) (any, error) {
		req := new(string)
		if err := decode(req); err != nil {
			return nil, err
		}
		out, err := s.unary(ctx, s.begin(ctx), nil)
		answer := out.GetValue() + " to " + *req
		return &answer, err
	}
	server.RegisterService(desc, struct{}{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn := dialClient(t, l.Addr().String(), hedged(nil, &hedge.Hedge{After: time.Millisecond}),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(plainCodec{})))
	ask, got := "ask", ""
	if err := conn.Invoke(t.Context(), unaryMethod, &ask, &got); err != nil ||
		got != "answer to ask" {
		t.Errorf("got %q, %v", got, err)
	}
}
