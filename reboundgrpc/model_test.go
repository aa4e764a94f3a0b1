package reboundgrpc_test

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
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
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
)

// ledger is a gate that counts.
type ledger struct{ inside, entered atomic.Int64 }

func (l *ledger) Enter(context.Context) (gate.Pass, error) {
	l.inside.Add(1)
	l.entered.Add(1)
	return gate.Pass{}, nil
}

func (l *ledger) Leave(gate.Pass, gate.Outcome) { l.inside.Add(-1) }

// erratic does anything that a server may do.
func erratic(
	ctx context.Context, sendHeader func(metadata.MD) error, send func(string) error,
) error {
	hang := func() {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
		}
	}
	for range rand.IntN(4) {
		switch rand.IntN(6) {
		case 0:
			return fail(codes.Unavailable)
		case 1:
			_ = sendHeader(metadata.Pairs("a", "b"))
		case 2:
			hang()
		case 3:
			return fail(codes.Code(rand.IntN(17)))
		default:
			if err := send("m"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Whatever servers and callers do: gates are left as often as they are entered, callbacks come once
// per call, messages are of one attempt, and nothing is left behind.
func TestAnything(t *testing.T) {
	checkGoroutines(t)
	s := &service{}
	s.unary = func(ctx context.Context, _ int, req *text) (*text, error) {
		err := erratic(ctx, func(md metadata.MD) error { return grpc.SetHeader(ctx, md) },
			func(string) error { return nil })
		return wrapperspb.String(req.GetValue()), err
	}
	s.stream = func(n int, _ *text, st grpc.ServerStream) error {
		return erratic(st.Context(), st.SendHeader, func(string) error {
			return st.SendMsg(wrapperspb.String(string(rune(n))))
		})
	}
	addr, _ := serve(t, s)
	l := &ledger{}
	p := quick(4)
	p.Budget = budget.Unlimited
	p.AttemptTimeout = 15 * time.Millisecond
	p.MaxElapsed = 60 * time.Millisecond
	p.Gates = []gate.Gate{l}
	var events atomic.Int64
	p.Observe = func(_ context.Context, e rebound.Event) {
		if e.Kind != rebound.Retrying {
			events.Add(1)
		}
	}
	h := &hedge.Hedge{After: 5 * time.Millisecond, Budget: budget.Unlimited}
	conn := dialClient(t, addr, hedged(p, h))
	var finished, begun atomic.Int64
	onFinish := grpc.OnFinish(func(error) { finished.Add(1) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				begun.Add(1)
				anyCall(t, conn, onFinish)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) &&
		!(l.inside.Load() == 0 && finished.Load() == begun.Load() &&
			events.Load() == begun.Load()); {
		runtime.Gosched()
	}
	if l.inside.Load() != 0 || finished.Load() != begun.Load() || events.Load() != begun.Load() {
		t.Errorf("%d inside the gate of %d; %d callbacks and %d events of %d calls",
			l.inside.Load(), l.entered.Load(), finished.Load(), events.Load(), begun.Load())
	}
}

func anyCall(t *testing.T, conn *grpc.ClientConn, opts ...grpc.CallOption) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rand.IntN(3) == 0 {
		after := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, cancel)
		defer after.Stop()
	}
	if rand.IntN(2) == 0 {
		if got, err := call(ctx, conn, opts...); err == nil && got != "ask" {
			t.Errorf("got %q", got)
		}
		return
	}
	st, err := open(ctx, conn, opts...)
	if err != nil {
		return
	}
	if rand.IntN(3) == 0 {
		_, _ = st.Header()
	}
	first := ""
	for range rand.IntN(6) {
		m := new(text)
		switch err := st.RecvMsg(m); {
		case err == io.EOF:
			return
		case err != nil:
			if _, ok := status.FromError(err); !ok {
				t.Errorf("no status: %v", err)
			}
			return
		case first != "" && m.GetValue() != first:
			t.Errorf("messages of two attempts: %q after %q", m.GetValue(), first)
		}
		first = m.GetValue()
	}
}
