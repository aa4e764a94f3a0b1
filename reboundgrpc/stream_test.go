package reboundgrpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// sends returns a stream handler that sends the messages and then returns err.
func sends(err error, messages ...string) func(int, *text, grpc.ServerStream) error {
	return func(_ int, _ *text, st grpc.ServerStream) error {
		for _, m := range messages {
			if err := st.SendMsg(wrapperspb.String(m)); err != nil {
				return err
			}
		}
		return err
	}
}

// After the first message a stream is not repeated, whatever happens.
func TestStreamCommitsAtFirstMessage(t *testing.T) {
	checkGoroutines(t)
	s := &service{stream: sends(fail(codes.Unavailable), "a", "b")}
	addr, _ := serve(t, s)
	d := newDoor()
	p := quick(5)
	p.Gates = []gate.Gate{d}
	var events []rebound.EventKind
	p.Observe = func(_ context.Context, e rebound.Event) { events = append(events, e.Kind) }
	st, err := open(t.Context(), dial(t, addr, p))
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(st)
	if !slices.Equal(got, []string{"a", "b"}) || status.Code(err) != codes.Unavailable {
		t.Errorf("got %q, %v", got, err)
	}
	var e *rebound.Error
	if errors.As(err, &e) || s.calls.Load() != 1 {
		t.Errorf("%d calls, %v: want gRPC's own error after one", s.calls.Load(), err)
	}
	if o := <-d.outcomes; o.Result != gate.OK || len(d.outcomes) > 0 {
		t.Errorf("the gate got %+v and %d more", o, len(d.outcomes))
	}
	if want := []rebound.EventKind{rebound.Succeeded}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
}

// The request of a server stream is one message, and the same for all attempts.
func TestStreamSendsOnce(t *testing.T) {
	s := &service{}
	s.stream = func(n int, req *text, st grpc.ServerStream) error {
		if n == 1 {
			return fail(codes.Unavailable)
		}
		return st.SendMsg(req)
	}
	addr, _ := serve(t, s)
	st, err := open(t.Context(), dial(t, addr, quick(3)))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SendMsg(wrapperspb.String("other")); status.Code(err) != codes.Internal {
		t.Errorf("the second SendMsg: %v", err)
	}
	if got, err := read(st); !slices.Equal(got, []string{"ask"}) || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := st.SendMsg(wrapperspb.String("other")); status.Code(err) != codes.Internal {
		t.Errorf("SendMsg after the first message: %v", err)
	}
}

// A stream without a message is an answer.
func TestStreamEmpty(t *testing.T) {
	s := &service{}
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		st.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "1"))
		if n == 1 {
			return fail(codes.Unavailable)
		}
		return nil
	}
	addr, _ := serve(t, s)
	conn := dial(t, addr, quick(3))
	for _, first := range []string{"RecvMsg", "Header"} {
		s.calls.Store(0)
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if first == "Header" {
			// gRPC has a header for this stream, or none: the end comes from RecvMsg.
			if _, err := st.Header(); err != nil {
				t.Errorf("Header: %v", err)
			}
		}
		for range 2 {
			if err := st.RecvMsg(new(text)); err != io.EOF {
				t.Errorf("after %s: %v, want EOF", first, err)
			}
		}
		if s.calls.Load() != 2 || len(st.Trailer()["grpc-retry-pushback-ms"]) != 1 {
			t.Errorf("after %s: %d calls, trailer %v", first, s.calls.Load(), st.Trailer())
		}
	}
}

// The header waits through failed attempts. Once the caller has it, the attempt is the last.
func TestStreamHeader(t *testing.T) {
	s := &service{}
	proceed := make(chan struct{})
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		if n == 1 {
			return fail(codes.Unavailable)
		}
		if err := st.SendHeader(metadata.Pairs("n", string(rune('0'+n)))); err != nil {
			return err
		}
		<-proceed
		return fail(codes.Unavailable)
	}
	addr, _ := serve(t, s)
	st, err := open(t.Context(), dial(t, addr, quick(5)))
	if err != nil {
		t.Fatal(err)
	}
	md, err := st.Header()
	if err != nil || !slices.Equal(md["n"], []string{"2"}) {
		t.Fatalf("Header: %v, %v", md, err)
	}
	close(proceed)
	if err := st.RecvMsg(new(text)); status.Code(err) != codes.Unavailable || s.calls.Load() != 2 {
		t.Errorf("after the header: %v, %d calls", err, s.calls.Load())
	}
}

// Header returns nothing for a call that fails, and RecvMsg the error, as in gRPC.
func TestStreamHeaderOfFailure(t *testing.T) {
	s := failing(99, fail(codes.NotFound))
	addr, _ := serve(t, s)
	st, err := open(t.Context(), dial(t, addr, quick(3)))
	if err != nil {
		t.Fatal(err)
	}
	if md, err := st.Header(); md != nil || err != nil {
		t.Errorf("Header: %v, %v", md, err)
	}
	for range 2 {
		if err := st.RecvMsg(new(text)); status.Code(err) != codes.NotFound {
			t.Errorf("RecvMsg: %v", err)
		}
	}
	if st.Context() == nil || s.calls.Load() != 1 {
		t.Errorf("%d calls", s.calls.Load())
	}
}

// The server works when NewStream and SendMsg have returned, before the caller receives.
func TestStreamBeginsAtOnce(t *testing.T) {
	begun := make(chan struct{})
	s := &service{stream: func(int, *text, grpc.ServerStream) error {
		close(begun)
		return nil
	}}
	addr, _ := serve(t, s)
	st, err := open(t.Context(), dial(t, addr, quick(3)))
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if got, err := read(st); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A caller may leave a stream at any point by canceling its context, or by closing the connection.
// The gates are left, and no goroutine stays.
func TestStreamIsLeft(t *testing.T) {
	for _, where := range []string{"opened", "sent", "message"} {
		for _, how := range []string{"cancel", "close"} {
			t.Run(where+" "+how, func(t *testing.T) {
				checkGoroutines(t)
				s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
					if where == "message" {
						_ = st.SendMsg(wrapperspb.String("a"))
					}
					<-st.Context().Done()
					return st.Context().Err()
				}}
				addr, _ := serve(t, s)
				d := newDoor()
				p := quick(3)
				p.Gates = []gate.Gate{d}
				p.Observe = func(_ context.Context, e rebound.Event) {
					if e.Kind == rebound.Retrying {
						t.Errorf("a retry after %v", e.Err)
					}
				}
				conn := dial(t, addr, p)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				finished := make(chan error, 9)
				onFinish := grpc.OnFinish(func(err error) { finished <- err })
				st, err := conn.NewStream(ctx, streamDesc, streamMethod, onFinish)
				if err != nil {
					t.Fatal(err)
				}
				if where != "opened" {
					if err := st.SendMsg(wrapperspb.String("ask")); err != nil {
						t.Fatal(err)
					}
				}
				if where == "message" {
					if err := st.RecvMsg(new(text)); err != nil {
						t.Fatal(err)
					}
				}
				if how == "cancel" {
					cancel()
				} else if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
				<-d.outcomes // the gate is left without RecvMsg
				if err := <-finished; status.Code(err) != codes.Canceled || len(finished) > 0 {
					t.Errorf("OnFinish got %v, and %d more", err, len(finished))
				}
				if err := st.RecvMsg(new(text)); status.Code(err) != codes.Canceled {
					t.Errorf("RecvMsg: %v", err)
				}
			})
		}
	}
}

// An observer that panics when a stream was left does not end the program. The panic waits for the
// caller.
func TestStreamIsLeftAndObserverPanics(t *testing.T) {
	checkGoroutines(t)
	s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
		<-st.Context().Done()
		return nil
	}}
	addr, _ := serve(t, s)
	observed := make(chan struct{})
	p := quick(3)
	p.Observe = func(context.Context, rebound.Event) {
		close(observed)
		panic("observer")
	}
	ctx, cancel := context.WithCancel(t.Context())
	st, err := open(ctx, dial(t, addr, p))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-observed
	defer func() {
		if v := recover(); v != "observer" {
			t.Errorf("RecvMsg panicked with %v", v)
		}
	}()
	t.Errorf("RecvMsg returned %v", st.RecvMsg(new(text)))
}

// AttemptTimeout bounds the first message. The stream may last longer.
func TestStreamOutlivesAttempt(t *testing.T) {
	s := &service{}
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		if n == 1 { // a server that hangs
			<-st.Context().Done()
			return st.Context().Err()
		}
		if _, ok := st.Context().Deadline(); ok {
			t.Error("the stream has the deadline of an attempt")
		}
		if err := st.SendMsg(wrapperspb.String("a")); err != nil {
			return err
		}
		timer := time.NewTimer(1200 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		return st.SendMsg(wrapperspb.String("b"))
	}
	addr, _ := serve(t, s)
	for name, p := range map[string]*rebound.Policy{
		"AttemptTimeout": {AttemptTimeout: 300 * time.Millisecond},
		"both":           {AttemptTimeout: 300 * time.Millisecond, MaxElapsed: time.Second},
	} {
		s.calls.Store(0)
		p.Backoff = backoff.Constant(time.Millisecond)
		st, err := open(t.Context(), dial(t, addr, p))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(st); !slices.Equal(got, []string{"a", "b"}) || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if st.Context().Err() == nil {
			t.Errorf("%s: the context outlives its stream", name)
		}
	}
}

// The time that a caller takes between SendMsg and RecvMsg is not the attempt's.
func TestStreamOfSlowCaller(t *testing.T) {
	s := &service{stream: sends(nil, "a")}
	addr, _ := serve(t, s)
	for name, p := range map[string]*rebound.Policy{
		"AttemptTimeout": {AttemptTimeout: 300 * time.Millisecond},
		"MaxElapsed":     {MaxElapsed: 300 * time.Millisecond},
	} {
		s.calls.Store(0)
		conn := dial(t, addr, p)
		ready(t, conn)
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		timer := time.NewTimer(600 * time.Millisecond)
		<-timer.C
		if got, err := read(st); !slices.Equal(got, []string{"a"}) || err != nil ||
			s.calls.Load() != 1 {
			t.Errorf("%s: got %q, %v after %d calls", name, got, err, s.calls.Load())
		}
	}
}

// Attempts that time out end with DEADLINE_EXCEEDED, although this package cancels them.
func TestStreamTimesOut(t *testing.T) {
	checkGoroutines(t)
	s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
		<-st.Context().Done()
		return st.Context().Err()
	}}
	addr, _ := serve(t, s)
	p := quick(2)
	p.AttemptTimeout = 20 * time.Millisecond
	st, err := open(t.Context(), dial(t, addr, p))
	if err != nil {
		t.Fatal(err)
	}
	_, err = read(st)
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("got %v, code %v", err, status.Code(err))
	}
}

// Header and RecvMsg may be called at the same time.
func TestStreamHeaderBesideRecv(t *testing.T) {
	s := failing(1, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	p := quick(3)
	p.Budget = budget.Unlimited
	conn := dial(t, addr, p)
	var finished atomic.Int64
	for i := range 50 {
		s.calls.Store(0)
		st, err := open(t.Context(), conn, grpc.OnFinish(func(error) { finished.Add(1) }))
		if err != nil {
			t.Fatal(err)
		}
		head := func() {
			if md, err := st.Header(); md == nil || err != nil {
				t.Errorf("Header: %v, %v", md, err)
			}
		}
		body := func() {
			if got, err := read(st); !slices.Equal(got, []string{"a", "b"}) || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		if i%2 == 0 { // who comes first is not certain, and likely
			head, body = body, head
		}
		var wg sync.WaitGroup
		wg.Go(head)
		body()
		wg.Wait()
		if n := finished.Swap(0); n != 1 {
			t.Errorf("%d callbacks", n)
		}
	}
}

// Gates are held until the first message, and no longer.
func TestStreamLeavesItsGate(t *testing.T) {
	one := &limit.Concurrency{Max: 1}
	s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
		_ = st.SendMsg(wrapperspb.String("a"))
		<-st.Context().Done()
		return nil
	}}
	addr, _ := serve(t, s)
	conn := dial(t, addr, &rebound.Policy{Gates: []gate.Gate{one}})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		st, err := open(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		if n := one.Snapshot().InFlight; n != 1 {
			t.Errorf("%d attempts in the gate before the first message", n)
		}
		if err := st.RecvMsg(new(text)); err != nil || one.Snapshot().InFlight != 0 {
			t.Errorf("%v, %d attempts in the gate after it", err, one.Snapshot().InFlight)
		}
	}
}

// For streams on which the client sends, only the opening is retried.
func TestBidi(t *testing.T) {
	checkGoroutines(t)
	s := &service{bidi: func(n int, st grpc.ServerStream) error {
		m := new(text)
		for {
			if err := st.RecvMsg(m); err == io.EOF {
				return fail(codes.Unavailable)
			} else if err != nil {
				return err
			}
			if err := st.SendMsg(m); err != nil {
				return err
			}
		}
	}}
	addr, _ := serve(t, s)
	p := quick(3)
	p.AttemptTimeout = 300 * time.Millisecond // of the opening
	conn := dial(t, addr, p)
	var ended []error
	st, err := conn.NewStream(t.Context(), bidiDesc, bidiMethod,
		grpc.OnFinish(func(err error) { ended = append(ended, err) }))
	if err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(600 * time.Millisecond)
	<-timer.C
	for range 3 {
		if err := st.SendMsg(wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(new(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	err = st.RecvMsg(new(text))
	if status.Code(err) != codes.Unavailable || s.calls.Load() != 1 || len(ended) != 1 {
		t.Errorf("got %v after %d calls, %d callbacks", err, s.calls.Load(), len(ended))
	}
}

// The context of an attempt ends with its stream, even if an interceptor inside drops the options.
func TestStreamWithoutOptions(t *testing.T) {
	addr, _ := serve(t, &service{stream: sends(nil, "a")})
	var inside context.Context
	conn := dial(t, addr, nil, grpc.WithChainStreamInterceptor(func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		streamer grpc.Streamer, _ ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		inside = ctx
		return streamer(ctx, desc, cc, method)
	}))
	st, err := open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(st); !slices.Equal(got, []string{"a"}) || err != nil ||
		inside.Err() == nil {
		t.Errorf("got %q, %v, context %v", got, err, inside.Err())
	}
}

// failOnce is a stream whose first SendMsg fails.
type failOnce struct {
	grpc.ClientStream
	failed *bool
}

func (f failOnce) SendMsg(m any) error {
	if !*f.failed {
		*f.failed = true
		_ = f.ClientStream.SendMsg("no message") // ends gRPC's stream
		return fail(codes.Unavailable)
	}
	return f.ClientStream.SendMsg(m)
}

// An attempt that fails in SendMsg is followed by another, and its end is not that of the stream.
func TestStreamFailsInSend(t *testing.T) {
	checkGoroutines(t)
	s := &service{stream: sends(nil, "a")}
	addr, _ := serve(t, s)
	for range 20 {
		failed := false
		conn := dial(t, addr, quick(3), grpc.WithChainStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
			streamer grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			st, err := streamer(ctx, desc, cc, method, opts...)
			return failOnce{st, &failed}, err
		}))
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 { // everything that waits for the pause comes now
			runtime.Gosched()
		}
		if got, err := read(st); !slices.Equal(got, []string{"a"}) || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		_ = conn.Close()
	}
}

// A callback is called once for a stream that fails, with the error that the caller gets.
func TestStreamFailureIsFinished(t *testing.T) {
	addr, _ := serve(t, failing(99, fail(codes.Unavailable)))
	var ended []error
	st, err := open(t.Context(), dial(t, addr, quick(3)),
		grpc.OnFinish(func(err error) { ended = append(ended, err) }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = read(st)
	_ = st.RecvMsg(new(text))
	if !errors.Is(err, rebound.Exhausted) || !slices.Equal(ended, []error{err}) {
		t.Errorf("got %v, callbacks with %v", err, ended)
	}
}

// A Goexit in an observer, such as t.FailNow, ends the goroutine of the caller.
func TestStreamGoexit(t *testing.T) {
	checkGoroutines(t)
	addr, _ := serve(t, failing(99, fail(codes.Unavailable)))
	p := quick(3)
	p.Observe = func(context.Context, rebound.Event) { runtime.Goexit() }
	conn := dial(t, addr, p)
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		if st, err := open(t.Context(), conn); err == nil {
			_, _ = read(st)
		}
		returned = true
	}()
	<-done
	if returned {
		t.Error("the caller went on")
	}
}
