package reboundgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// failing returns a service whose first calls fail with err.
func failing(times int, err error) *service {
	s := &service{}
	s.unary = func(_ context.Context, n int, req *text) (*text, error) {
		if n <= times {
			return nil, err
		}
		return wrapperspb.String("answer"), nil
	}
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		if n <= times {
			return err
		}
		return errors.Join(st.SendMsg(wrapperspb.String("a")), st.SendMsg(wrapperspb.String("b")))
	}
	return s
}

func TestEveryStatus(t *testing.T) {
	checkGoroutines(t)
	retried := []codes.Code{
		codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.ResourceExhausted,
		codes.Aborted, codes.Internal, codes.Unavailable,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		s := failing(1, fail(code))
		addr, _ := serve(t, s)
		conn := dial(t, addr, quick(3))
		got, err := call(t.Context(), conn)
		wantCode, wantCalls := code, int64(1)
		if slices.Contains(retried, code) {
			wantCode, wantCalls = codes.OK, 2
		}
		if status.Code(err) != wantCode || s.calls.Load() != wantCalls {
			t.Errorf("%v: unary returned %q, %v after %d calls: want code %v after %d",
				code, got, err, s.calls.Load(), wantCode, wantCalls)
		}

		s.calls.Store(0)
		st, err := open(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		_, err = read(st)
		if status.Code(err) != wantCode || s.calls.Load() != wantCalls {
			t.Errorf("%v: the stream ended with %v after %d calls: want code %v after %d",
				code, err, s.calls.Load(), wantCode, wantCalls)
		}
	}
}

func TestPreviousAttempts(t *testing.T) {
	s := failing(2, fail(codes.Unavailable))
	addr, _ := serve(t, s)
	conn := dial(t, addr, quick(3))
	// A proxy may have copied the metadata of a call to it.
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"grpc-previous-rpc-attempts", "7", "tenant", "a")
	if _, err := call(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if want := []string{"7", "1", "2"}; !slices.Equal(s.previous, want) {
		t.Errorf("the calls had %q, want %q", s.previous, want)
	}
	s.previous = nil
	s.calls.Store(0)
	st, err := open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(st); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the stream was %q, %v", got, err)
	}
	if want := []string{"", "1", "2"}; !slices.Equal(s.previous, want) {
		t.Errorf("the streams had %q, want %q", s.previous, want)
	}
}

// pushbacks are the trailers that a server may send, and the result of a call whose first attempt
// ended with one.
var pushbacks = []struct {
	values  []string
	calls   int64
	atLeast time.Duration
}{
	{values: []string{"40"}, calls: 2, atLeast: 40 * time.Millisecond},
	{values: []string{"0"}, calls: 2},
	{values: []string{"-1"}, calls: 1},
	{values: []string{"soon"}, calls: 1},
	{values: []string{""}, calls: 1},
	{values: []string{"1.5"}, calls: 1},
	{values: []string{"1", "1"}, calls: 1},
	{values: []string{"99999999999999999999"}, calls: 1}, // no number of 64 bits
	{values: []string{"9223372036854775807"}, calls: 1},  // above MaxRetryAfter
	{values: []string{"120001"}, calls: 1},               // above MaxRetryAfter
}

func TestPushback(t *testing.T) {
	for _, tt := range pushbacks {
		md := metadata.MD{"grpc-retry-pushback-ms": tt.values}
		s := failing(1, fail(codes.Unavailable))
		unary, stream := s.unary, s.stream
		s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
			if err := grpc.SetTrailer(ctx, md); err != nil {
				t.Error(err)
			}
			return unary(ctx, n, req)
		}
		s.stream = func(n int, req *text, st grpc.ServerStream) error {
			st.SetTrailer(md)
			return stream(n, req, st)
		}
		addr, _ := serve(t, s)
		// The backoff is longer than the test may take: pushback replaces it.
		p := &rebound.Policy{Backoff: backoffOf(time.Hour)}
		var delays []time.Duration
		p.Observe = func(_ context.Context, e rebound.Event) {
			if e.Kind == rebound.Retrying {
				delays = append(delays, e.Delay)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn := dial(t, addr, p)
		check := func(what string, err error) {
			t.Helper()
			if (err == nil) != (tt.calls == 2) || s.calls.Load() != tt.calls {
				t.Errorf("%q: %s made %d calls and returned %v: want %d calls",
					tt.values, what, s.calls.Load(), err, tt.calls)
			}
			if err != nil && (status.Code(err) != codes.Unavailable || !fault.Of(err).Final &&
				!errors.Is(err, rebound.WaitTooLong)) {
				t.Errorf("%q: %s: the error is %v, of fault %+v: want UNAVAILABLE, final",
					tt.values, what, err, fault.Of(err))
			}
			for _, d := range delays {
				if d < tt.atLeast || d > tt.atLeast*5/4 {
					t.Errorf("%q: %s had a delay of %v: want %v and up to a quarter more",
						tt.values, what, d, tt.atLeast)
				}
			}
			s.calls.Store(0)
			delays = nil
		}
		_, err := call(ctx, conn)
		check("unary", err)
		st, err := open(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		_, err = read(st)
		check("stream", err)
	}
}

// backoffOf is a constant backoff.
type backoffOf time.Duration

func (b backoffOf) Delay(int, time.Duration, float64) time.Duration { return time.Duration(b) }

func TestErrorsHaveCodes(t *testing.T) {
	addr, _ := serve(t, failing(99, fail(codes.Unavailable)))
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shut down"))
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelLate()
	for _, tt := range []struct {
		name   string
		policy *rebound.Policy
		ctx    context.Context
		code   codes.Code
		reason rebound.Reason
	}{
		{"exhausted", quick(2), t.Context(), codes.Unavailable, rebound.Exhausted},
		{"canceled", quick(2), canceled, codes.Canceled, rebound.Canceled},
		{"past the deadline", quick(2), late, codes.DeadlineExceeded, rebound.Canceled},
		{"invalid", &rebound.Policy{Attempts: -5}, t.Context(), codes.Unavailable,
			rebound.Invalid},
	} {
		conn := dialClient(t, addr, &reboundgrpc.Client{
			PolicyFor: func(string) *rebound.Policy { return tt.policy },
		})
		_, unaryErr := call(tt.ctx, conn)
		st, streamErr := open(tt.ctx, conn)
		if streamErr == nil {
			_, streamErr = read(st)
		}
		for _, err := range []error{unaryErr, streamErr} {
			var e *rebound.Error
			if status.Code(err) != tt.code || !errors.Is(err, tt.reason) || !errors.As(err, &e) {
				t.Errorf("%s: got %v, code %v: want code %v and reason %v",
					tt.name, err, status.Code(err), tt.code, tt.reason)
			}
			if s, _ := status.FromError(fmt.Errorf("caller: %w", err)); s.Code() != tt.code {
				t.Errorf("%s: wrapped once more the code is %v", tt.name, s.Code())
			}
		}
	}
}
