package grpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

type message = wrapperspb.BytesValue

// protocols are those of a Connect client.
var protocols = map[string][]connect.ClientOption{
	"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
}

// charger serves a method that counts its calls, and returns its address. What is before it may
// answer instead.
func charger(
	t *testing.T, before func(http.Handler) http.Handler,
	answer func(context.Context) (*message, error),
) (url string, charged *atomic.Int32) {
	t.Helper()
	charged = new(atomic.Int32)
	handler := http.Handler(connect.NewUnaryHandler(method,
		func(ctx context.Context, _ *connect.Request[message]) (*connect.Response[message], error) {
			charged.Add(1)
			m, err := answer(ctx)
			if err != nil {
				return nil, err
			}
			return connect.NewResponse(m), nil
		}))
	if before != nil {
		handler = before(handler)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = both()
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, charged
}

func both() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// charge calls the method under a NonIdempotent policy, which retries every failure of a call that
// was not carried out.
func charge(ctx context.Context, url string, opts ...connect.ClientOption) *rebound.Error {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true) // gRPC needs it
	transport := &http.Transport{Protocols: &only}
	defer transport.CloseIdleConnections()
	client := connect.NewClient[message, message](
		&http.Client{Transport: transport}, url+method, opts...)
	p := &rebound.Policy{
		NonIdempotent: true, Backoff: backoff.Constant(0), Throttled: backoff.Constant(0),
		Budget: budget.Unlimited, RetryIf: func(fault.Fault) bool { return true },
	}
	err := rebound.Run(ctx, p, func(ctx context.Context) error {
		_, err := client.CallUnary(ctx, connect.NewRequest(&message{Value: []byte("5")}))
		return err
	})
	e, _ := err.(*rebound.Error)
	return e
}

// connectLimited is a limit error with the time at which there is room again.
func connectLimited() error {
	err := connect.NewError(connect.CodeResourceExhausted, errors.New("slow down"))
	if d, dErr := connect.NewErrorDetail(&errdetails.RetryInfo{
		RetryDelay: durationpb.New(50 * time.Millisecond),
	}); dErr == nil {
		err.AddDetail(d)
	}
	return err
}

// Each code that a server sends, in each protocol.
func TestConnectCodes(t *testing.T) {
	coded := func(c connect.Code) error { return connect.NewError(c, errors.New("x")) }
	after := connect.NewError(connect.CodeUnavailable, errors.New("restarting"))
	after.Meta().Set("Retry-After", "3")
	type want struct {
		kind  fault.Kind
		sent  fault.Sent
		after time.Duration
	}
	const maybe, notDone = fault.MaybeDone, fault.NotDone
	for _, row := range []struct {
		err error
		want
	}{
		{coded(connect.CodeUnavailable), want{fault.Transient, maybe, 0}},
		{after, want{fault.Transient, maybe, 3 * time.Second}},
		{coded(connect.CodeResourceExhausted), want{fault.RateLimited, maybe, 0}},
		{connectLimited(), want{fault.RateLimited, notDone, 50 * time.Millisecond}},
		{coded(connect.CodeAborted), want{fault.Transient, notDone, 0}},
		{coded(connect.CodeInvalidArgument), want{fault.Permanent, notDone, 0}},
		{coded(connect.CodeNotFound), want{fault.Permanent, notDone, 0}},
		{coded(connect.CodeUnauthenticated), want{fault.Permanent, notDone, 0}},
		{coded(connect.CodeUnimplemented), want{fault.Permanent, notDone, 0}},
		{coded(connect.CodeDataLoss), want{fault.Permanent, maybe, 0}},
		{coded(connect.CodeDeadlineExceeded), want{fault.Transient, maybe, 0}},
		{coded(connect.CodeInternal), want{fault.Unknown, maybe, 0}},
		{errors.New("plain"), want{fault.Unknown, maybe, 0}},
	} {
		url, charged := charger(t, nil, func(context.Context) (*message, error) {
			return nil, row.err
		})
		for name, opts := range protocols {
			charged.Store(0)
			e := charge(t.Context(), url, opts...)
			if e == nil {
				t.Fatalf("%s, %v: no error", name, row.err)
			}
			if got := (want{e.Fault.Kind, e.Fault.Sent, e.Fault.After}); got != row.want {
				t.Errorf("%s, %v: got %v, want %v", name, row.err, got, row.want)
			}
			calls := map[fault.Sent]int32{maybe: 1, notDone: 3}[row.sent]
			if n := charged.Load(); n != calls {
				t.Errorf("%s, %v: charged %d times, want %d", name, row.err, n, calls)
			}
		}
	}
}

// cut lets the handler run, and cuts its response.
type cut struct {
	http.ResponseWriter
	change func([]byte) []byte
}

func (c cut) Write(b []byte) (int, error) {
	_, err := c.ResponseWriter.Write(c.change(b))
	return len(b), err
}

// garbled breaks every byte of a response.
func garbled(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(cut{w, func(b []byte) []byte {
			return []byte(strings.Repeat("\xff", len(b)))
		}}, r)
	})
}

// instead lets the handler run, and replaces its answer.
func instead(answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			answer(w, r)
		})
	}
}

func statusInstead(code int) func(http.Handler) http.Handler {
	return instead(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// Codes that the client makes itself prove nothing: the call may have been carried out.
func TestConnectCodesOfTheClient(t *testing.T) {
	for _, row := range []struct {
		name   string
		before func(http.Handler) http.Handler
		opts   []connect.ClientOption
		limit  time.Duration
	}{
		{"reply too large", nil, []connect.ClientOption{connect.WithReadMaxBytes(1000)}, 0},
		{"reply garbled", garbled, nil, 0},
		{"reply of another type", instead(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}), nil, 0},
		{"proxy answers 500", statusInstead(500), nil, 0},
		{"proxy answers 502", statusInstead(502), nil, 0},
		{"proxy answers 504", statusInstead(504), nil, 0},
		{"deadline", instead(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}), nil, 300 * time.Millisecond},
		{"stream reset", instead(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}), nil, 0},
	} {
		url, charged := charger(t, row.before, func(context.Context) (*message, error) {
			return &message{Value: make([]byte, 1<<20)}, nil
		})
		for name, opts := range protocols {
			charged.Store(0)
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if row.limit > 0 {
				ctx, cancel = context.WithTimeout(ctx, row.limit)
			}
			e := charge(ctx, url, slices.Concat(row.opts, opts)...)
			cancel()
			if n := charged.Load(); e == nil || n != 1 || e.Fault.Sent != fault.MaybeDone {
				t.Errorf("%s, %s: charged %d times, %v", row.name, name, n, e)
			}
		}
	}
}

// A missing server got nothing, in any protocol.
func TestConnectNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for name, opts := range protocols {
		e := charge(t.Context(), "http://"+listener.Addr().String(), opts...)
		if e == nil || e.Fault.Kind != fault.Transient || e.Fault.Sent != fault.NotSent ||
			e.Attempts != 3 {
			t.Errorf("%s: got %v", name, e)
		}
	}
}
