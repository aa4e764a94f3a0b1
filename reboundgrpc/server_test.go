package reboundgrpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// door is a gate that rejects with err, if there is one, and keeps the outcomes.
type door struct {
	reject   func() error
	outcomes chan gate.Outcome
}

// overloaded is a rejection with a delay.
type overloaded time.Duration

func (overloaded) Error() string { return "secret" }

func (o overloaded) DescribeFault() fault.Fault {
	return fault.Fault{Kind: fault.Overloaded, After: time.Duration(o)}
}

func newDoor() *door { return &door{outcomes: make(chan gate.Outcome, 10)} }

func (d *door) Enter(context.Context) (gate.Pass, error) {
	if d.reject != nil {
		return gate.Pass{}, d.reject()
	}
	return gate.Pass{}, nil
}

func (d *door) Leave(_ gate.Pass, o gate.Outcome) { d.outcomes <- o }

func gated(g gate.Gate) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(reboundgrpc.UnaryServer(g)),
		grpc.StreamInterceptor(reboundgrpc.StreamServer(g)),
	}
}

// plain is a connection without interceptors.
func plain(t *testing.T, addr string) *grpc.ClientConn {
	return dialClient(t, addr, &reboundgrpc.Client{Policy: &rebound.Policy{Attempts: 1}})
}

func TestServerRejects(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      error
		code     codes.Code
		pushback []string
		kind     fault.Kind // of the client's error
		sent     fault.Sent
	}{
		{"rate limited", rebound.RetryAfter(errors.New("secret"), 1500*time.Microsecond),
			codes.ResourceExhausted, []string{"2"}, fault.RateLimited, fault.NotDone},
		{"rate limited, no delay", rebound.RetryAfter(errors.New("secret"), 0),
			codes.ResourceExhausted, nil, fault.RateLimited, fault.MaybeDone},
		{"overloaded", overloaded(time.Second),
			codes.Unavailable, []string{"1000"}, fault.Overloaded, fault.MaybeDone},
		{"full", overloaded(0),
			codes.Unavailable, nil, fault.Transient, fault.MaybeDone},
		{"unknown", errors.New("secret"), codes.Unavailable, nil, fault.Transient,
			fault.MaybeDone},
	} {
		d := newDoor()
		d.reject = func() error { return tt.err }
		s := failing(0, nil)
		addr, _ := serve(t, s, gated(d)...)
		conn := plain(t, addr)
		check := func(what string, err error, trailer metadata.MD) {
			t.Helper()
			f := fault.Of(err)
			if status.Code(err) != tt.code || f.Kind != tt.kind || f.Sent != tt.sent {
				t.Errorf("%s, %s: got %v, %v, %v: want %v, %v, %v", tt.name, what,
					status.Code(err), f.Kind, f.Sent, tt.code, tt.kind, tt.sent)
			}
			if got := trailer["grpc-retry-pushback-ms"]; !slices.Equal(got, tt.pushback) {
				t.Errorf("%s, %s: pushback %q, want %q", tt.name, what, got, tt.pushback)
			}
			if st, _ := status.FromError(err); st.Message() == "" ||
				errors.Is(err, tt.err) || containsSecret(err) {
				t.Errorf("%s, %s: the client gets the text %q", tt.name, what, st.Message())
			}
		}
		var trailer metadata.MD
		_, err := call(t.Context(), conn, grpc.Trailer(&trailer))
		check("unary", err, trailer)
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		_, err = read(st)
		check("stream", err, st.Trailer())
		if n := s.calls.Load() + int64(len(d.outcomes)); n != 0 {
			t.Errorf("%s: %d calls or outcomes, want none", tt.name, n)
		}
	}
}

func containsSecret(err error) bool {
	s, _ := status.FromError(err)
	return strings.Contains(s.Message(), "secret")
}

func TestServerOutcomes(t *testing.T) {
	for _, tt := range []struct {
		err    error
		result gate.Result
		kind   fault.Kind
	}{
		{nil, gate.OK, fault.Unknown},
		{fail(codes.NotFound), gate.OK, fault.Unknown},
		{fail(codes.InvalidArgument), gate.OK, fault.Unknown},
		{fail(codes.Unavailable), gate.Failed, fault.Transient},
		{fail(codes.ResourceExhausted), gate.Failed, fault.RateLimited},
		{fail(codes.DeadlineExceeded), gate.Failed, fault.Transient},
		{fail(codes.Canceled), gate.Failed, fault.Transient}, // of a call of the handler's
		{fail(codes.DataLoss), gate.Failed, fault.Permanent},
		{fail(codes.Internal), gate.Failed, fault.Unknown},
		{errors.New("no status"), gate.Failed, fault.Unknown},
		{overloaded(0), gate.Failed, fault.Overloaded},
	} {
		d := newDoor()
		addr, _ := serve(t, failing(9, tt.err), gated(d)...)
		conn := plain(t, addr)
		_, _ = call(t.Context(), conn)
		if o := <-d.outcomes; o.Result != tt.result || o.Fault.Kind != tt.kind {
			t.Errorf("unary, %v: the gate got %+v, want %v, %v", tt.err, o, tt.result, tt.kind)
		}
		if st, err := open(t.Context(), conn); err != nil {
			t.Fatal(err)
		} else {
			_, _ = read(st)
		}
		if o := <-d.outcomes; o.Result != tt.result || o.Fault.Kind != tt.kind {
			t.Errorf("stream, %v: the gate got %+v, want %v, %v", tt.err, o, tt.result, tt.kind)
		}
	}
}

func TestServerClientGone(t *testing.T) {
	d := newDoor()
	s := &service{}
	ctx, cancel := context.WithCancel(t.Context())
	s.unary = func(ctx context.Context, _ int, _ *text) (*text, error) {
		cancel()
		<-ctx.Done()
		return wrapperspb.String("too late"), nil
	}
	addr, _ := serve(t, s, gated(d)...)
	if _, err := call(ctx, plain(t, addr)); status.Code(err) != codes.Canceled {
		t.Errorf("the client got %v", err)
	}
	if o := <-d.outcomes; o.Result != gate.Failed || o.Fault.Kind != fault.Canceled {
		t.Errorf("the gate got %+v, want a canceled call", o)
	}
}

// A gate in which the call waited until its client had disconnected.
func TestServerGoneInTheGate(t *testing.T) {
	full := &limit.Concurrency{Max: 1, Queue: 5, Wait: time.Minute}
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	s := &service{unary: func(context.Context, int, *text) (*text, error) {
		entered <- struct{}{}
		<-release
		return wrapperspb.String("answer"), nil
	}}
	addr, _ := serve(t, s, gated(full)...)
	conn := plain(t, addr)
	done := make(chan error)
	go func() {
		_, err := call(t.Context(), conn)
		done <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := call(ctx, conn); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the second call: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the first call: %v", err)
	}
}

// After a panic the gate is left, and the server may recover it.
func TestServerPanic(t *testing.T) {
	d := newDoor()
	recovered := func(
		ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
	) (_ any, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = status.Errorf(codes.Internal, "panic: %v", v)
			}
		}()
		return handle(ctx, req)
	}
	s := &service{unary: func(context.Context, int, *text) (*text, error) { panic("bug") }}
	addr, _ := serve(t, s,
		grpc.ChainUnaryInterceptor(recovered, reboundgrpc.UnaryServer(d)))
	if _, err := call(t.Context(), plain(t, addr)); status.Code(err) != codes.Internal {
		t.Errorf("the client got %v", err)
	}
	if o := <-d.outcomes; o.Result != gate.Failed || o.Fault.Kind != fault.Unknown {
		t.Errorf("the gate got %+v, want the zero Outcome", o)
	}
}

// Client and server together: the client retries when the server's limit has room.
func TestServerLimitAndClient(t *testing.T) {
	rate := &limit.Rate{N: 1, Per: 50 * time.Millisecond, Burst: 1}
	s := failing(0, nil)
	addr, _ := serve(t, s, gated(rate)...)
	p := quick(4)
	p.NonIdempotent = true // the rejection proves that nothing was done
	conn := dial(t, addr, p)
	for range 4 {
		if got, err := call(t.Context(), conn); got != "answer" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if rate.Snapshot().Rejected == 0 {
		t.Error("the limit rejected nothing")
	}
}

// The status of a call that waited in a gate until its context ended is that of the context.
func TestServerGateCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := newDoor()
	d.reject = ctx.Err
	_, err := reboundgrpc.UnaryServer(d)(ctx, nil, nil, nil)
	if status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
}
