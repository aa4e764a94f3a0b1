package reboundgrpc_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// text is the message of all methods.
type text = wrapperspb.StringValue

// service is a server whose methods are functions. n counts the calls of each method, from 1.
type service struct {
	unary  func(ctx context.Context, n int, req *text) (*text, error)
	stream func(n int, req *text, s grpc.ServerStream) error
	bidi   func(n int, s grpc.ServerStream) error

	calls    atomic.Int64
	mu       sync.Mutex
	previous []string // grpc-previous-rpc-attempts of each call
}

const (
	unaryMethod  = "/test.Test/Unary"
	streamMethod = "/test.Test/Stream"
	bidiMethod   = "/test.Test/Bidi"
)

var (
	streamDesc = &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true}
	bidiDesc   = &grpc.StreamDesc{StreamName: "Bidi", ServerStreams: true, ClientStreams: true}
)

// begin counts a call.
func (s *service) begin(ctx context.Context) int {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.previous = append(s.previous, strings.Join(md["grpc-previous-rpc-attempts"], ","))
	return int(s.calls.Add(1))
}

func (s *service) desc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Test",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(
			_ any, ctx context.Context, decode func(any) error, in grpc.UnaryServerInterceptor,
		) (any, error) {
			req := new(text)
			if err := decode(req); err != nil {
				return nil, err
			}
			handle := func(ctx context.Context, req any) (any, error) {
				return s.unary(ctx, s.begin(ctx), req.(*text))
			}
			if in == nil {
				return handle(ctx, req)
			}
			return in(ctx, req, &grpc.UnaryServerInfo{FullMethod: unaryMethod}, handle)
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, Handler: func(
			_ any, st grpc.ServerStream,
		) error {
			req := new(text)
			if err := st.RecvMsg(req); err != nil {
				return err
			}
			return s.stream(s.begin(st.Context()), req, st)
		}}, {StreamName: "Bidi", ServerStreams: true, ClientStreams: true, Handler: func(
			_ any, st grpc.ServerStream,
		) error {
			return s.bidi(s.begin(st.Context()), st)
		}}},
	}
}

// serve begins a server of s on a free port.
func serve(t testing.TB, s *service, opts ...grpc.ServerOption) (addr string, server *grpc.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), serveOn(t, l, s, opts...)
}

func serveOn(
	t testing.TB, l net.Listener, s *service, opts ...grpc.ServerOption,
) *grpc.Server {
	server := grpc.NewServer(opts...)
	server.RegisterService(s.desc(), struct{}{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return server
}

// stop stops the server and waits until conn has left its connection. Before, a call could still
// begin on it.
func stop(t testing.TB, server *grpc.Server, conn *grpc.ClientConn) {
	t.Helper()
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !conn.WaitForStateChange(ctx, connectivity.Ready) {
		t.Error("the connection is still ready")
	}
}

// dial returns a connection that uses p.
func dial(t testing.TB, addr string, p *rebound.Policy, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	return dialClient(t, addr, &reboundgrpc.Client{Policy: p}, opts...)
}

func dialClient(
	t testing.TB, addr string, c *reboundgrpc.Client, opts ...grpc.DialOption,
) *grpc.ClientConn {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return dialPlain(t, addr, append(c.DialOptions(), opts...)...)
}

// dialPlain returns a connection with opts only.
func dialPlain(t testing.TB, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ready waits until conn is connected, so that its first call is as fast as later ones.
func ready(t testing.TB, conn *grpc.ClientConn) {
	t.Helper()
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(t.Context(), state) {
			t.Fatal(t.Context().Err())
		}
	}
}

// call makes a unary call and returns the answer.
func call(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	reply := new(text)
	err := conn.Invoke(ctx, unaryMethod, wrapperspb.String("ask"), reply, opts...)
	return reply.GetValue(), err
}

// open opens a server stream, as generated code does.
func open(
	ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := conn.NewStream(ctx, streamDesc, streamMethod, opts...)
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(wrapperspb.String("ask")); err != nil {
		return nil, err
	}
	return s, s.CloseSend()
}

// read reads a server stream to its end.
func read(s grpc.ClientStream) (got []string, err error) {
	for {
		m := new(text)
		if err := s.RecvMsg(m); err == io.EOF {
			return got, nil
		} else if err != nil {
			return got, err
		}
		got = append(got, m.GetValue())
	}
}

// quick is a policy with short delays.
func quick(attempts int) *rebound.Policy {
	return &rebound.Policy{
		Attempts:  attempts,
		Backoff:   backoff.Constant(time.Millisecond),
		Throttled: backoff.Constant(time.Millisecond),
	}
}

func fail(code codes.Code) error { return status.Error(code, "made up") }

// checkGoroutines fails the test if it leaves goroutines of gRPC or of this module behind.
func checkGoroutines(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var stacks string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			buf := make([]byte, 1<<20)
			stacks = string(buf[:runtime.Stack(buf, true)])
			if !strings.Contains(stacks, "reboundgrpc.(") &&
				!strings.Contains(stacks, "grpc.newClientStream") {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("goroutines are left:\n%s", stacks)
	})
}

// quickBehind is a quick policy behind a gate.
func quickBehind(g gate.Gate) *rebound.Policy {
	p := quick(3)
	p.Gates = []gate.Gate{g}
	return p
}
