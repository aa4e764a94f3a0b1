package reboundgrpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// freeAddr returns an address without a listener.
func freeAddr(t *testing.T) string {
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// fastConnect makes gRPC connect again at once.
func fastConnect() grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second})
}

// A refused connection proves that nothing was sent. So even a NonIdempotent call is retried until
// the server is up.
func TestRefusedConnection(t *testing.T) {
	checkGoroutines(t)
	addr := freeAddr(t)
	s := failing(0, nil)
	s.bidi = func(int, grpc.ServerStream) error { return nil }
	for _, kind := range []string{"unary", "stream", "bidi"} {
		var server *grpc.Server
		var delays []fault.Fault
		p := &rebound.Policy{
			Attempts: 200, NonIdempotent: true, Backoff: backoff.Constant(5 * time.Millisecond),
			Budget: budget.Unlimited,
		}
		p.Observe = func(_ context.Context, e rebound.Event) {
			delays = append(delays, e.Fault)
			if len(delays) == 2 {
				l, err := net.Listen("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				server = serveOn(t, l, s)
			}
		}
		conn := dial(t, addr, p, fastConnect())
		var err error
		switch kind {
		case "unary":
			_, err = call(t.Context(), conn)
		case "stream":
			var st grpc.ClientStream
			if st, err = open(t.Context(), conn); err == nil {
				_, err = read(st)
			}
		case "bidi":
			var st grpc.ClientStream
			if st, err = conn.NewStream(t.Context(), bidiDesc, bidiMethod); err == nil {
				_, err = read(st)
			}
		}
		if err != nil || len(delays) < 2 || delays[0].Sent != fault.NotSent {
			t.Errorf("%s: %v after %+v", kind, err, delays)
		}
		_ = conn.Close()
		server.Stop()
	}
}

// restarting is a policy that restarts the server of s after the first failure.
func restarting(t *testing.T, addr string, s *service, nonIdempotent bool) *rebound.Policy {
	var once sync.Once
	restart := func() {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		serveOn(t, l, s)
	}
	return &rebound.Policy{
		Attempts: 200, NonIdempotent: nonIdempotent, Budget: budget.Unlimited,
		Backoff: backoff.Constant(5 * time.Millisecond),
		Observe: func(context.Context, rebound.Event) { once.Do(restart) },
	}
}

// Without the mark of DialOptions gRPC itself may have sent the call.
func TestRefusedWithoutMark(t *testing.T) {
	addr := freeAddr(t)
	conn, err := grpc.NewClient(addr, grpc.WithUnaryInterceptor(
		reboundgrpc.Unary(&rebound.Policy{NonIdempotent: true})),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := call(t.Context(), conn); !errors.Is(err, rebound.NotIdempotent) {
		t.Errorf("got %v", err)
	}
}

// If an inner interceptor fails by itself, that does not show what it has sent.
func TestUnsentIsGRPCsWord(t *testing.T) {
	addr, _ := serve(t, failing(0, nil))
	p := &rebound.Policy{NonIdempotent: true}
	conn := dial(t, addr, p, grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, _ ...grpc.CallOption,
	) error {
		if err := invoke(ctx, method, req, reply, cc); err != nil {
			return err
		}
		return fail(codes.Unavailable)
	}))
	if _, err := call(t.Context(), conn); !errors.Is(err, rebound.NotIdempotent) {
		t.Errorf("got %v", err)
	}
}

// A server that is killed in the middle of a call may have acted.
func TestServerKilled(t *testing.T) {
	checkGoroutines(t)
	for _, nonIdempotent := range []bool{false, true} {
		var server atomic.Pointer[grpc.Server]
		s := &service{}
		kill := func(n int) error {
			if n > 1 {
				return nil
			}
			go server.Load().Stop()
			return fail(codes.Unknown) // it is not read
		}
		s.unary = func(ctx context.Context, n int, _ *text) (*text, error) {
			err := kill(n)
			if err != nil {
				<-ctx.Done()
			}
			return wrapperspb.String("answer"), err
		}
		s.stream = func(n int, _ *text, st grpc.ServerStream) error {
			if err := kill(n); err != nil {
				<-st.Context().Done()
				return err
			}
			return st.SendMsg(wrapperspb.String("a"))
		}
		for _, kind := range []string{"unary", "stream"} {
			s.calls.Store(0)
			addr, first := serve(t, s)
			server.Store(first)
			conn := dial(t, addr, restarting(t, addr, s, nonIdempotent), fastConnect())
			var err error
			if kind == "unary" {
				_, err = call(t.Context(), conn)
			} else if st, e := open(t.Context(), conn); e != nil {
				err = e
			} else {
				_, err = read(st)
			}
			if !nonIdempotent && (err != nil || s.calls.Load() != 2) {
				t.Errorf("%s: %v after %d calls", kind, err, s.calls.Load())
			}
			if nonIdempotent && (!errors.Is(err, rebound.NotIdempotent) || s.calls.Load() != 1) {
				t.Errorf("%s, not idempotent: %v after %d calls", kind, err, s.calls.Load())
			}
			_ = conn.Close()
		}
	}
}

// A server that closes its connections by GOAWAY causes no failures.
func TestGoAway(t *testing.T) {
	s := failing(0, nil)
	addr, _ := serve(t, s, grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionAge: 10 * time.Millisecond, MaxConnectionAgeGrace: time.Second,
	}))
	p := quick(5)
	p.Budget = budget.Unlimited
	conn := dial(t, addr, p, fastConnect())
	for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); {
		if got, err := call(t.Context(), conn); got != "answer" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(st); len(got) != 2 || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// A server may accept connections and never write: behind a half-open connection, or if it hangs.
func TestSilentServer(t *testing.T) {
	checkGoroutines(t)
	addr := daemon.Listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	p := quick(2)
	p.AttemptTimeout = 30 * time.Millisecond
	conn := dial(t, addr, p)
	for _, wait := range []bool{false, true} {
		_, err := call(t.Context(), conn, grpc.WaitForReady(wait))
		if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("unary, WaitForReady %t: %v", wait, err)
		}
		_, err = open(t.Context(), conn, grpc.WaitForReady(wait))
		if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("stream, WaitForReady %t: %v", wait, err)
		}
	}
}

// A connection that breaks before any byte of the answer is half-open. Keepalive detects it.
func TestHalfOpen(t *testing.T) {
	s := failing(0, nil)
	addr, _ := serve(t, s)
	proxy := daemon.NewProxy(t, addr)
	p := quick(3)
	p.AttemptTimeout = 300 * time.Millisecond
	conn := dial(t, proxy.Addr, p)
	if _, err := call(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	proxy.Freeze()
	p.Observe = nil
	_, err := call(t.Context(), conn)
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("frozen: %v", err)
	}
	proxy.Thaw()
	if got, err := call(t.Context(), conn); got != "answer" || err != nil {
		t.Errorf("thawed: %q, %v", got, err)
	}
}

// Codes that the client makes itself are not retried if that is useless, and not charged.
func TestClientMadeCodes(t *testing.T) {
	big := strings.Repeat("x", 5<<20)
	s := &service{
		unary: func(context.Context, int, *text) (*text, error) {
			return wrapperspb.String(big), nil
		},
		stream: sends(nil, big),
	}
	addr, _ := serve(t, s)
	b := &budget.Budget{}
	p := quick(3)
	p.Budget = b
	conn := dial(t, addr, p)
	for name, run := range map[string]func() error{
		"reply too large": func() error {
			_, err := call(t.Context(), conn)
			return err
		},
		"message too large": func() error {
			st, err := open(t.Context(), conn)
			if err != nil {
				return err
			}
			_, err = read(st)
			return err
		},
		"request too large": func() error {
			_, err := call(t.Context(), conn, grpc.MaxCallSendMsgSize(1))
			return err
		},
		"request of a stream too large": func() error {
			_, err := open(t.Context(), conn, grpc.MaxCallSendMsgSize(1))
			return err
		},
	} {
		s.calls.Store(0)
		err := run()
		if status.Code(err) != codes.ResourceExhausted || !errors.Is(err, rebound.NotRetryable) ||
			s.calls.Load() > 1 || b.Level() != b.Size() {
			t.Errorf("%s: %v after %d calls, budget %v", name, err, s.calls.Load(), b.Level())
		}
	}
	for name, run := range map[string]func() error{
		"no message": func() error {
			return conn.Invoke(t.Context(), unaryMethod, "not a message", new(text))
		},
		"reply of another type": func() error {
			return conn.Invoke(t.Context(), unaryMethod, wrapperspb.String(""), new(int),
				grpc.MaxCallRecvMsgSize(1<<30))
		},
	} {
		err := run()
		if status.Code(err) != codes.Internal || !errors.Is(err, rebound.NotRetryable) ||
			b.Level() != b.Size() {
			t.Errorf("%s: %v, budget %v", name, err, b.Level())
		}
	}
}

func TestUnknownService(t *testing.T) {
	addr, _ := serve(t, failing(0, nil))
	conn := dial(t, addr, quick(3))
	var attempts int
	ctx := reboundgrpc.WithPolicy(t.Context(), &rebound.Policy{
		Observe: func(_ context.Context, e rebound.Event) { attempts = e.Attempt },
	})
	err := conn.Invoke(ctx, "/no.Such/Method", new(text), new(text))
	if status.Code(err) != codes.Unimplemented || attempts != 1 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
}

// A client that speaks TLS to a server that does not, and one that trusts another authority.
func TestWrongTLS(t *testing.T) {
	addr, _ := serve(t, failing(0, nil))
	conn, err := grpc.NewClient(addr, append(reboundgrpc.DialOptions(quick(2)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{})))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = call(t.Context(), conn)
	var e *rebound.Error
	if status.Code(err) != codes.Unavailable || !errors.As(err, &e) || e.Fault.Sent != fault.NotSent {
		t.Errorf("got %v, %+v", err, e)
	}
}

func TestRetryInfo(t *testing.T) {
	st, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(30 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	s := failing(1, st.Err())
	addr, _ := serve(t, s)
	p := quick(3)
	p.NonIdempotent = true // RetryInfo proves that the server has rejected the call
	var delay time.Duration
	p.Observe = func(_ context.Context, e rebound.Event) { delay = max(delay, e.Delay) }
	if _, err := call(t.Context(), dial(t, addr, p)); err != nil || delay < 30*time.Millisecond {
		t.Errorf("%v, delay %v", err, delay)
	}
	// Pushback is gRPC's own, and outranks the policy.
	s.calls.Store(0)
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "0"))
		return unary(ctx, n, req)
	}
	delay = 0
	if _, err := call(t.Context(), dial(t, addr, p)); err != nil || delay != 0 {
		t.Errorf("with pushback: %v, delay %v", err, delay)
	}
}

// A delay past the deadline does not begin.
func TestDeadline(t *testing.T) {
	s := failing(99, fail(codes.Unavailable))
	var deadlines []time.Duration
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		d, _ := ctx.Deadline()
		deadlines = append(deadlines, time.Until(d))
		return unary(ctx, n, req)
	}
	addr, _ := serve(t, s)
	p := &rebound.Policy{Backoff: backoffOf(time.Hour), AttemptTimeout: 10 * time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := call(ctx, dial(t, addr, p))
	if !errors.Is(err, rebound.PastDeadline) || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if len(deadlines) != 1 || deadlines[0] > 10*time.Second {
		t.Errorf("the server got the deadlines %v, want that of the attempt", deadlines)
	}
}

func TestMaxElapsed(t *testing.T) {
	checkGoroutines(t)
	s := &service{unary: func(ctx context.Context, _ int, _ *text) (*text, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	addr, _ := serve(t, s)
	p := quick(3)
	p.MaxElapsed = 30 * time.Millisecond
	_, err := call(t.Context(), dial(t, addr, p))
	if !errors.Is(err, rebound.PastElapsed) || status.Code(err) != codes.DeadlineExceeded ||
		s.calls.Load() > 1 {
		t.Errorf("got %v after %d calls", err, s.calls.Load())
	}
}

// The budget and the breaker are those of the program.
func TestSharedBudgetAndBreaker(t *testing.T) {
	s := failing(1<<30, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	b := &budget.Budget{Capacity: 2, Refill: budget.None}
	p := quick(5)
	p.Budget = b
	_, err := call(t.Context(), dial(t, addr, p))
	if !errors.Is(err, rebound.OutOfBudget) || s.calls.Load() != 3 || b.Level() != 0 {
		t.Errorf("%v after %d calls, budget %v", err, s.calls.Load(), b.Level())
	}

	s.calls.Store(0)
	br := &breaker.Breaker{Failures: 3}
	p = quick(2)
	p.Breaker = br
	conn := dial(t, addr, p)
	for range 2 {
		_, err = call(t.Context(), conn)
	}
	if !errors.Is(err, breaker.ErrOpen) || s.calls.Load() != 3 || br.State() != breaker.Open {
		t.Errorf("%v after %d calls, breaker %v", err, s.calls.Load(), br.State())
	}
	_, err = open(t.Context(), conn)
	if !errors.Is(err, rebound.Rejected) || status.Code(err) != codes.Unavailable {
		t.Errorf("a stream while the breaker is open: %v", err)
	}
}

// Pushback makes no permanent failure retryable.
func TestPushbackOfPermanent(t *testing.T) {
	s := failing(99, fail(codes.NotFound))
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "0"))
		return unary(ctx, n, req)
	}
	addr, _ := serve(t, s)
	if _, err := call(t.Context(), dial(t, addr, quick(3))); status.Code(err) != codes.NotFound ||
		!errors.Is(err, rebound.NotRetryable) || s.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, s.calls.Load())
	}
}

// The budget is the policy's and not the connection's, as gRPC's token count is.
func TestConnectionsShareABudget(t *testing.T) {
	s := failing(1<<30, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	p := quick(3)
	p.Budget = &budget.Budget{Capacity: 3, Refill: budget.None}
	for range 4 {
		_, _ = call(t.Context(), dial(t, addr, p))
	}
	if n := s.calls.Load(); n != 4+3 {
		t.Errorf("%d calls, want 4 and 3 retries", n)
	}
}

// A policy with a classifier obeys pushback, too, and keeps its budget.
func TestOwnClassifier(t *testing.T) {
	s := failing(99, fail(codes.NotFound))
	push := "-1"
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", push))
		return unary(ctx, n, req)
	}
	addr, _ := serve(t, s)
	p := quick(3)
	p.Classify = func(err error) fault.Fault {
		if status.Code(err) == codes.NotFound { // not replicated yet
			return fault.Fault{Kind: fault.Transient}
		}
		return fault.Of(err)
	}
	for _, ctx := range []context.Context{
		t.Context(), reboundgrpc.WithPolicy(t.Context(), p),
	} {
		conn := dial(t, addr, p)
		s.calls.Store(0)
		push = "-1"
		if _, err := call(ctx, conn); s.calls.Load() != 1 || !errors.Is(err, rebound.AlreadyRetried) {
			t.Errorf("pushback -1: %v after %d calls", err, s.calls.Load())
		}
		s.calls.Store(0)
		push = "200000" // above MaxRetryAfter
		if _, err := call(ctx, conn); s.calls.Load() != 1 || !errors.Is(err, rebound.WaitTooLong) {
			t.Errorf("pushback 200000: %v after %d calls", err, s.calls.Load())
		}
		s.calls.Store(0)
		push = "1"
		before := p.RetryBudget().Level()
		if _, err := call(ctx, conn); s.calls.Load() != 3 || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("pushback 1: %v after %d calls", err, s.calls.Load())
		}
		if after := p.RetryBudget().Level(); after > before-1.5 {
			t.Errorf("the policy's budget went from %v to %v", before, after)
		}
	}
}

func TestPolicyFor(t *testing.T) {
	s := failing(99, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	reads := quick(4)
	conn := dialClient(t, addr, &reboundgrpc.Client{
		Policy: quick(2),
		PolicyFor: func(method string) *rebound.Policy {
			if method == streamMethod {
				return reads
			}
			return nil
		},
	})
	_, _ = call(t.Context(), conn)
	if n := s.calls.Swap(0); n != 2 {
		t.Errorf("%d calls by Policy, want 2", n)
	}
	if st, err := open(t.Context(), conn); err != nil {
		t.Fatal(err)
	} else {
		_, _ = read(st)
	}
	if n := s.calls.Swap(0); n != 4 {
		t.Errorf("%d calls by PolicyFor, want 4", n)
	}
	_, _ = call(reboundgrpc.WithPolicy(t.Context(), &rebound.Policy{Attempts: 1}), conn)
	if n := s.calls.Swap(0); n != 1 {
		t.Errorf("%d calls by WithPolicy, want 1", n)
	}
}

// Options describe the last attempt, and a callback is for the call.
func TestCallOptions(t *testing.T) {
	s := failing(1, fail(codes.Unavailable))
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		if n == 1 {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("first", "yes"))
		}
		return unary(ctx, n, req)
	}
	addr, _ := serve(t, s)
	conn := dial(t, addr, quick(3))
	var trailer, again metadata.MD
	var ended []error
	opts := []grpc.CallOption{
		grpc.Trailer(&trailer), grpc.OnFinish(func(err error) { ended = append(ended, err) }),
		grpc.Trailer(&again), grpc.OnFinish(func(err error) { ended = append(ended, err) }),
	}
	if _, err := call(t.Context(), conn, opts...); err != nil {
		t.Fatal(err)
	}
	if len(trailer)+len(again) != 0 || !slices.Equal(ended, []error{nil, nil}) {
		t.Errorf("trailers %v and %v, callbacks with %v", trailer, again, ended)
	}
	// The caller's options are as they were.
	if len(opts) != 4 || s.calls.Load() != 2 {
		t.Errorf("%d options, %d calls", len(opts), s.calls.Load())
	}
}

// The last attempt has no trailer if it has reached no server.
func TestCallOptionsOfRefused(t *testing.T) {
	s := failing(99, fail(codes.Unavailable))
	unary := s.unary
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("first", "yes"))
		return unary(ctx, n, req)
	}
	addr, server := serve(t, s)
	p := quick(2)
	conn := dial(t, addr, p)
	p.Observe = func(context.Context, rebound.Event) { stop(t, server, conn) }
	var trailer metadata.MD
	_, err := call(t.Context(), conn, grpc.Trailer(&trailer))
	if !errors.Is(err, rebound.Exhausted) || trailer != nil || s.calls.Load() != 1 {
		t.Errorf("%v, trailer %v, %d calls", err, trailer, s.calls.Load())
	}
	var ended []error
	_, err = conn.NewStream(t.Context(), bidiDesc, bidiMethod,
		grpc.OnFinish(func(err error) { ended = append(ended, err) }))
	if status.Code(err) != codes.Unavailable || len(ended) != 1 || ended[0] != err {
		t.Errorf("a stream that is not opened: %v, callbacks with %v", err, ended)
	}
}

// Calls that end before their first attempt have codes, too.
func TestRejectionsHaveCodes(t *testing.T) {
	s := failing(0, nil)
	addr, _ := serve(t, s)
	full := &limit.Concurrency{Max: 1, Queue: 1, Wait: time.Minute}
	if _, err := full.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	rate := &limit.Rate{N: 1, Per: time.Hour}
	if _, err := rate.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		policy *rebound.Policy
		code   codes.Code
		reason rebound.Reason
	}{
		{&rebound.Policy{MaxElapsed: 10 * time.Millisecond, Gates: []gate.Gate{full}},
			codes.DeadlineExceeded, rebound.PastElapsed},
		{&rebound.Policy{Gates: []gate.Gate{rate}}, codes.ResourceExhausted, rebound.Rejected},
		{&rebound.Policy{Gates: []gate.Gate{nil}}, codes.Internal, rebound.Invalid},
	} {
		conn := dial(t, addr, nil)
		ctx := reboundgrpc.WithPolicy(t.Context(), tt.policy)
		_, unaryErr := call(ctx, conn)
		_, streamErr := open(ctx, conn)
		for _, err := range []error{unaryErr, streamErr} {
			if status.Code(err) != tt.code || !errors.Is(err, tt.reason) {
				t.Errorf("%v: got %v, code %v", tt.reason, err, status.Code(err))
			}
		}
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
	// A nil policy is the zero one.
	conn := dial(t, addr, &rebound.Policy{Gates: []gate.Gate{rate}})
	if _, err := call(reboundgrpc.WithPolicy(t.Context(), nil), conn); err != nil {
		t.Errorf("with a nil policy: %v", err)
	}
}

// A panic of an observer or of an inner interceptor continues in the caller, and leaves nothing
// behind.
func TestPanics(t *testing.T) {
	checkGoroutines(t)
	s := failing(99, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	d := newDoor()
	p := quick(3)
	p.Observe = func(context.Context, rebound.Event) { panic("observer") }
	inside := grpc.WithChainStreamInterceptor(func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		panic("interceptor")
	})
	caught := func(f func()) (v any) {
		defer func() { v = recover() }()
		f()
		return nil
	}
	conn := dial(t, addr, p)
	if v := caught(func() { _, _ = call(t.Context(), conn) }); v != "observer" {
		t.Errorf("unary: %v", v)
	}
	st, err := open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if v := caught(func() { _, _ = read(st) }); v != "observer" {
		t.Errorf("stream: %v", v)
	}
	if err := st.RecvMsg(new(text)); status.Code(err) != codes.Internal {
		t.Errorf("after the panic: %v", err)
	}
	conn = dial(t, addr, quickBehind(d), inside)
	if v := caught(func() { _, _ = open(t.Context(), conn) }); v != "interceptor" {
		t.Errorf("interceptor: %v", v)
	}
	<-d.outcomes
}

func TestConcurrentCalls(t *testing.T) {
	checkGoroutines(t)
	s := &service{}
	s.unary = func(_ context.Context, n int, _ *text) (*text, error) {
		if n%3 == 0 {
			return nil, fail(codes.Unavailable)
		}
		return wrapperspb.String("answer"), nil
	}
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		if n%3 == 0 {
			return fail(codes.Unavailable)
		}
		return errors.Join(st.SendMsg(wrapperspb.String("a")), st.SendMsg(wrapperspb.String("b")))
	}
	addr, _ := serve(t, s)
	p := quick(20)
	p.Budget = budget.Unlimited
	p.AttemptTimeout = 20 * time.Second
	conn := dialClient(t, addr, hedged(p, nil))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if got, err := call(t.Context(), conn); got != "answer" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				st, err := open(ctx, conn)
				if err != nil {
					t.Errorf("open: %v", err)
				} else if err := st.RecvMsg(new(text)); err != nil {
					t.Errorf("the first message: %v", err)
				}
				cancel() // without reading the rest
			}
		})
	}
	wg.Wait()
}
