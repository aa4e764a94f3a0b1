package reboundgrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
)

// mergingCodec decodes into the old content of a message, as codecs of JSON and vtprotobuf do.
type mergingCodec struct{}

func (mergingCodec) Name() string                       { return "merging" }
func (mergingCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (mergingCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// document is a message that the caller may prepare.
type document struct {
	Title, Author string         `json:",omitempty"`
	Lines         map[string]int `json:",omitempty"`
	Body          any            `json:",omitempty"` // a pointer that says how to decode
}

// resettable is a message like those of Protobuf.
type resettable struct{ document }

func (r *resettable) Reset() { r.document = document{} }

// documents is a server whose first answers come with an error. Unary calls and streams of one
// message are the same to it.
func documents(t *testing.T, failures int) (addr string) {
	n := 0
	addr, _ = serve(t, failing(0, nil), grpc.ForceServerCodec(mergingCodec{}),
		grpc.UnknownServiceHandler(func(_ any, st grpc.ServerStream) error {
			n++
			if n > failures {
				return st.SendMsg(&document{Title: "second", Lines: map[string]int{"b": 2},
					Body: "text"})
			}
			first := &document{Title: "first", Author: "x", Lines: map[string]int{"a": 1}}
			return errors.Join(st.SendMsg(first), fail(codes.Unavailable))
		}))
	return addr
}

// The reply of a failed attempt is in no part of the call's reply.
func TestRepliesDoNotMerge(t *testing.T) {
	method := "/documents.Documents/Read"
	for _, how := range []string{"unary", "hedged", "stream"} {
		for _, reset := range []bool{false, true} {
			h := hedged(quick(3), nil)
			if how == "hedged" {
				h = hedged(quick(3), &hedge.Hedge{After: time.Hour})
			}
			conn := dialClient(t, documents(t, 2), h)
			codec := grpc.ForceCodec(mergingCodec{})
			d, body := new(resettable), new(string)
			d.Body = body
			m := any(d)
			if !reset {
				m = &d.document
			}
			var err error
			if how == "stream" {
				var st grpc.ClientStream
				st, err = conn.NewStream(t.Context(), &grpc.StreamDesc{}, method, codec)
				if err == nil {
					err = errors.Join(st.SendMsg(&document{}), st.RecvMsg(m))
				}
			} else {
				err = conn.Invoke(t.Context(), method, &document{}, m, codec)
			}
			if err != nil || d.Title != "second" || d.Author != "" || len(d.Lines) != 1 {
				t.Errorf("%s, %T: got %+v, %v", how, m, d, err)
			}
			if *body != "text" && !reset {
				t.Errorf("%s: the caller's target for the body is lost", how)
			}
		}
	}
}

// Values of an earlier attempt in the options are replaced by the last one's.
func TestPeerOfRefused(t *testing.T) {
	addr, server := serve(t, failing(99, fail(codes.Unavailable)))
	p := quick(2)
	conn := dial(t, addr, p)
	p.Observe = func(context.Context, rebound.Event) { stop(t, server, conn) }
	var from peer.Peer
	_, err := call(t.Context(), conn, grpc.Peer(&from))
	if status.Code(err) != codes.Unavailable || from.Addr != nil {
		t.Errorf("the peer is %v: %v", from.Addr, err)
	}
}

// lateSend is a stream whose SendMsg returns after the end of its attempt.
type lateSend struct {
	grpc.ClientStream
	ctx context.Context
}

func (l lateSend) SendMsg(m any) error {
	err := l.ClientStream.SendMsg(m)
	<-l.ctx.Done()
	return err
}

// A stream that an interceptor returns beside an error is not a stream: many wrap what they got
// before they look at the error.
func TestStreamBesideAnError(t *testing.T) {
	checkGoroutines(t)
	addr, _ := serve(t, failing(0, nil))
	conn := dial(t, addr, quick(2), grpc.WithChainStreamInterceptor(func(
		ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ grpc.Streamer,
		_ ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		return lateSend{nil, ctx}, fail(codes.Unavailable)
	}))
	_, err := open(t.Context(), conn)
	if status.Code(err) != codes.Unavailable || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("server stream: %v", err)
	}
	_, err = conn.NewStream(t.Context(), bidiDesc, bidiMethod)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("bidi stream: %v", err)
	}
}

// After a timeout, gRPC ends a stream on its own goroutine. It must not write to the options when
// another attempt has begun or the call has failed.
func TestOutputsOfTimedOutStream(t *testing.T) {
	checkGoroutines(t)
	s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
		_ = st.SendHeader(metadata.Pairs("late", "yes"))
		<-st.Context().Done()
		return nil
	}}
	addr, _ := serve(t, s)
	p := quick(4)
	p.AttemptTimeout, p.Budget = 3*time.Millisecond, budget.Unlimited
	conn := dial(t, addr, p, grpc.WithChainStreamInterceptor(func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		st, err := streamer(ctx, desc, cc, method, opts...)
		return lateSend{st, ctx}, err
	}))
	for range 20 {
		var header, trailer metadata.MD
		var from peer.Peer
		_, err := open(t.Context(), conn,
			grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from))
		if !errors.Is(err, rebound.Exhausted) {
			t.Fatal(err)
		}
		header, trailer, from = nil, nil, peer.Peer{} // a race if gRPC still writes
		_, _, _ = header, trailer, from
	}
}

// Messages from before the timeout are dropped, whatever their codec.
func TestMessagesOfTimedOutStream(t *testing.T) {
	addr, _ := serve(t, failing(0, nil), grpc.ForceServerCodec(plainCodec{}),
		grpc.UnknownServiceHandler(func(_ any, st grpc.ServerStream) error {
			for range 3 {
				m := "a"
				_ = st.SendMsg(&m)
			}
			<-st.Context().Done()
			return nil
		}))
	p := quick(8)
	p.AttemptTimeout, p.Budget = 3*time.Millisecond, budget.Unlimited
	conn := dial(t, addr, p, grpc.WithDefaultCallOptions(grpc.ForceCodec(plainCodec{})),
		grpc.WithChainStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
			streamer grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			st, err := streamer(ctx, desc, cc, method, opts...)
			return lateSend{st, ctx}, err
		}))
	ready(t, conn)
	for range 5 {
		st, err := conn.NewStream(t.Context(), streamDesc, "/plain.Plain/Read")
		if err != nil {
			t.Fatal(err)
		}
		ask := "ask"
		if err := st.SendMsg(&ask); !errors.Is(err, rebound.Exhausted) {
			t.Fatal(err)
		}
	}
}

// tokens are per-call credentials whose first uses fail.
type tokens struct {
	err  error
	fail int
	uses int
}

func (*tokens) RequireTransportSecurity() bool { return false }

func (c *tokens) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if c.uses++; c.uses <= c.fail {
		return nil, c.err
	}
	return map[string]string{"authorization": "token"}, nil
}

// Credentials that fail prove that nothing was sent. Their own status decides.
func TestCredentials(t *testing.T) {
	down, wrong := fail(codes.Unavailable), fail(codes.PermissionDenied)
	for _, tt := range []struct {
		err  error
		uses int
	}{{errors.New("no answer"), 2}, {down, 2}, {wrong, 1}} {
		for _, kind := range []string{"unary", "stream"} {
			s := failing(0, nil)
			addr, _ := serve(t, s)
			p := quick(3)
			p.NonIdempotent = true
			conn := dial(t, addr, p)
			c := &tokens{err: tt.err, fail: 1}
			var err error
			if kind == "unary" {
				_, err = call(t.Context(), conn, grpc.PerRPCCredentials(c))
			} else if st, e := open(t.Context(), conn, grpc.PerRPCCredentials(c)); e != nil {
				err = e
			} else {
				_, err = read(st)
			}
			if c.uses != tt.uses || (err == nil) != (tt.uses == 2) || err != nil &&
				(status.Code(err) != status.Code(tt.err) || fault.Of(err).Sent != fault.NotSent) {
				t.Errorf("%s, %v: %v after %d uses", kind, tt.err, err, c.uses)
			}
		}
	}
}

func TestCompressors(t *testing.T) {
	s := failing(1, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	b := &budget.Budget{}
	p := quick(3)
	p.Budget = b
	conn := dial(t, addr, p)
	for name, option := range map[string]grpc.CallOption{
		"compressor": grpc.UseCompressor("none such"),
		"codec":      grpc.CallContentSubtype("none such"),
	} {
		_, unaryErr := call(t.Context(), conn, option)
		_, streamErr := open(t.Context(), conn, option)
		for _, err := range []error{unaryErr, streamErr} {
			if !errors.Is(err, rebound.NotRetryable) || b.Level() != b.Size() {
				t.Errorf("no %s: %v, budget %v", name, err, b.Level())
			}
		}
	}
	if got, err := call(t.Context(), conn, grpc.UseCompressor(gzip.Name)); got != "answer" ||
		err != nil || s.calls.Load() != 2 {
		t.Errorf("gzip: %q, %v after %d calls", got, err, s.calls.Load())
	}
}

// Interceptors inside may write metadata while legs run at the same time, and replies may be large.
func TestHedgedBesideInterceptors(t *testing.T) {
	checkGoroutines(t)
	large := strings.Repeat("x", 3<<20)
	s := &service{unary: func(ctx context.Context, n int, _ *text) (*text, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return wrapperspb.String(fmt.Sprint(md["tenant"], md["leg"], large)), nil
	}}
	addr, _ := serve(t, s)
	p := quick(3)
	p.Budget = budget.Unlimited
	conn := dialClient(t, addr, hedged(p, &hedge.Hedge{After: time.Nanosecond, Max: 3,
		Budget: budget.Unlimited}), grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "leg", "one")
		return invoke(ctx, method, req, reply, cc, opts...)
	}))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "tenant", "a")
	for range 10 {
		if got, err := call(ctx, conn); got != "[a][one]"+large &&
			got != "[a] [one]"+large || err != nil {
			t.Fatalf("got %.40q, %v", got, err)
		}
	}
}

// A stream that its client leaves early returns its permit. The error of a handler is not a
// rejection, so it has no pushback.
func TestServerStreamsLeft(t *testing.T) {
	checkGoroutines(t)
	one := &limit.Concurrency{Max: 1, Queue: 1, Wait: 10 * time.Second}
	s := &service{stream: func(_ int, _ *text, st grpc.ServerStream) error {
		_ = st.SendMsg(wrapperspb.String("a"))
		<-st.Context().Done()
		return st.Context().Err()
	}}
	s.unary = func(context.Context, int, *text) (*text, error) {
		return nil, fail(codes.ResourceExhausted)
	}
	addr, _ := serve(t, s, gated(one)...)
	conn := plain(t, addr)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		st, err := open(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(new(text)); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	var trailer metadata.MD
	_, err := call(t.Context(), conn, grpc.Trailer(&trailer))
	if status.Code(err) != codes.ResourceExhausted || trailer["grpc-retry-pushback-ms"] != nil {
		t.Errorf("%v, trailer %v", err, trailer)
	}
	// The client may have the answer a moment before the permit is back.
	if _, err := one.Enter(t.Context()); err != nil {
		t.Errorf("the permit is lost: %v", err)
	}
}

// Interceptors outside run once per call, those inside once per attempt, and both see the codes.
func TestChain(t *testing.T) {
	s := failing(2, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	var seen []string
	sees := func(name string) grpc.UnaryClientInterceptor {
		return func(
			ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
			invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			err := invoke(ctx, method, req, reply, cc, opts...)
			seen = append(seen, name+" "+status.Code(err).String())
			return err
		}
	}
	opts := append([]grpc.DialOption{grpc.WithChainUnaryInterceptor(sees("call"))},
		hedged(quick(3), nil).DialOptions()...)
	conn := dialPlain(t, addr, append(opts, grpc.WithChainUnaryInterceptor(sees("attempt")))...)
	if got, err := call(t.Context(), conn); got != "answer" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	want := []string{"attempt Unavailable", "attempt Unavailable", "attempt OK", "call OK"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}
