package reboundredis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// fakeRedis is a Redis whose answers a test gives, so that its clock can be that of synctest.
type fakeRedis struct {
	redis.Scripter
	book func(ctx context.Context) (any, error)
	back func(turns []any) (int64, error)
	load func(ctx context.Context) error

	mu                  sync.Mutex
	booked, under, most int // scripts that book: all, and those at the same time
	backs, loads        int
}

func (f *fakeRedis) EvalSha(
	ctx context.Context, hash string, _ []string, args ...any,
) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	if hash == returnScript.Hash() {
		f.mu.Lock()
		f.backs++
		f.mu.Unlock()
		n, err := f.back(args)
		cmd.SetVal(n)
		cmd.SetErr(err)
		return cmd
	}
	f.mu.Lock()
	f.booked, f.under = f.booked+1, f.under+1
	f.most = max(f.most, f.under)
	f.mu.Unlock()
	v, err := f.book(ctx)
	f.mu.Lock()
	f.under--
	f.mu.Unlock()
	cmd.SetVal(v)
	cmd.SetErr(err)
	return cmd
}

func (f *fakeRedis) ScriptLoad(ctx context.Context, _ string) *redis.StringCmd {
	f.mu.Lock()
	f.loads++
	f.mu.Unlock()
	cmd := redis.NewStringCmd(ctx)
	if f.load != nil {
		cmd.SetErr(f.load(ctx))
	}
	return cmd
}

// hangs answers when ctx ends.
func hangs(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }

// books books turns after a wait.
func books(wait time.Duration) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		<-time.After(time.Millisecond) // a round trip
		return []any{int64(1), fmt.Sprint(wait.Microseconds()), "7"}, nil
	}
}

func localShare(n int) *limit.Rate { return &limit.Rate{N: 1, Per: time.Hour, Burst: n} }

// If Redis hangs, only attempts that already asked wait for it, and the client connects once.
func TestHangingRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: hangs, load: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		r := &Rate{Client: f, Key: "k", N: 10, Local: localShare(100)}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				begun := time.Now()
				if err := r.Take(t.Context(), 1); err != nil || time.Since(begun) != defaultTimeout {
					t.Errorf("%v after %v, want the local share after 50ms", err, time.Since(begun))
				}
			})
		}
		wg.Wait()
		for range 10 {
			begun := time.Now()
			if err := r.Take(t.Context(), 1); err != nil || time.Since(begun) != 0 {
				t.Errorf("%v after %v, want the local share at once", err, time.Since(begun))
			}
		}
		synctest.Wait() // the client connects in the background
		if f.booked != 10 || f.loads != 1 {
			t.Errorf("asked %d times, connected %d times; want 10 and once", f.booked, f.loads)
		}
		// While the client connects, no attempt asks Redis, and none takes it for healthy.
		time.Sleep(3 * time.Second)
		for range 10 {
			if err := r.Take(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}
		if s := r.redis().State(); f.booked != 10 || s == breaker.Closed {
			t.Errorf("asked %d times while it connects, the breaker is %v", f.booked, s)
		}
		time.Sleep(handshake)
		f.book = books(0)
		if err := r.Take(t.Context(), 1); err != nil || f.booked != 11 ||
			r.redis().State() != breaker.Closed {
			t.Errorf("%v, asked %d times: want Redis to decide again", err, f.booked)
		}
	})
}

// An attempt waits for at most Timeout, even if another one leases turns for both.
func TestHangingLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: func(context.Context) (any, error) {
			<-time.After(time.Hour) // whatever the context says
			return nil, errors.New("too late")
		}}
		r := &Rate{Client: f, Key: "k", N: 1e5, Local: localShare(100)}
		go func() { _ = r.Take(t.Context(), 1) }()
		synctest.Wait()
		begun := time.Now()
		if err := r.Take(t.Context(), 1); err != nil || time.Since(begun) != defaultTimeout {
			t.Errorf("%v after %v, want the local share after 50ms", err, time.Since(begun))
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: hangs}
		r := &Rate{Client: f, Key: "k", N: 10, Local: localShare(100)}
		cause := errors.New("left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		if err := r.Take(ctx, 1); err != cause {
			t.Errorf("got %v, want the context's cause", err)
		}
		if err := r.Take(ctx, 1); err != cause || f.booked != 1 {
			t.Errorf("got %v after %d requests, want the cause at once", err, f.booked)
		}
		if s := r.redis().Snapshot(); s.State != breaker.Closed || r.Local.Snapshot().Level != 100 {
			t.Errorf("the breaker is %v, level %v", s.State, r.Local.Snapshot().Level)
		}
	})
}

// Attempts that need leased turns ask one at a time, and the waiting ones take the leased turns.
func TestOneAsksForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: books(0)}
		r := &Rate{Client: f, Key: "k", N: 1e6, FailClosed: true, Wait: time.Second}
		r.turns.lease = 10
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := r.Take(t.Context(), 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.booked != 1 || f.most != 1 {
			t.Errorf("asked %d times, %d at once; want once", f.booked, f.most)
		}
	})
	synctest.Test(t, func(t *testing.T) { // without leases
		f := &fakeRedis{book: books(0)}
		r := &Rate{Client: f, Key: "k", N: 1000, FailClosed: true}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _ = r.Take(t.Context(), 1) })
		}
		wg.Wait()
		if f.booked != 10 || f.most != 10 {
			t.Errorf("asked %d times, %d at once; want 10", f.booked, f.most)
		}
	})
}

// Turns of several tokens are not leased, whatever the rate.
func TestLeasesAreOfOneToken(t *testing.T) {
	r := &Rate{N: 1e6}
	for n, want := range map[float64]bool{1: true, 0: false, 2: false, 0.5: false} {
		if got := r.booking(n).leases; got != want {
			t.Errorf("%v tokens: leased %v, want %v", n, got, want)
		}
	}
	if r.N = leaseRate; r.booking(1).leases {
		t.Error("leased at 1000 per second")
	}
}

// While Redis is down, the local share decides, even if Redis has just rejected.
func TestLocalAfterRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: func(context.Context) (any, error) {
			return []any{int64(0), "60000000", "7"}, nil
		}}
		b := &breaker.Breaker{}
		r := &Rate{Client: f, Key: "k", N: 1, Local: localShare(2), Breaker: b, Wait: time.Second}
		for range 3 {
			if err := r.Take(t.Context(), 1); !errors.Is(err, limit.ErrRate) {
				t.Fatal(err)
			}
		}
		if n := r.Snapshot().Rejected; f.booked != 1 || n != 3 {
			t.Errorf("asked %d times, %d rejections", f.booked, n)
		}
		b.ForceOpen()
		for i, want := range []bool{true, true, false} {
			if err := r.Refusal(0); (err == nil) != want {
				t.Errorf("attempt %d: Refusal: %v", i, err)
			}
			if err := r.Take(t.Context(), 1); (err == nil) != want {
				t.Errorf("attempt %d: %v", i, err)
			}
		}
		if n := r.Snapshot().Rejected; n != 4 {
			t.Errorf("%d rejections, want 4", n)
		}
		if err := r.Refusal(time.Hour); err != nil {
			t.Errorf("Refusal after an hour: %v", err)
		}
	})
}

// Refusal is nil if the wait after the delay is within Wait.
func TestRefusalOfAKnownTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{book: books(5 * time.Second)}
		r := &Rate{Client: f, Key: "k", N: 1, FailClosed: true, Wait: 10 * time.Second}
		go func() { _ = r.Take(t.Context(), 1) }() // the next turn is a second later
		time.Sleep(2 * time.Millisecond)
		if err := r.Refusal(0); err != nil {
			t.Errorf("6s of 10s: %v", err)
		}
		r.Wait = 5 * time.Second
		if err := r.Refusal(0); !errors.Is(err, limit.ErrRate) {
			t.Errorf("6s of 5s: %v", err)
		}
		if err := r.Refusal(2 * time.Second); err != nil {
			t.Errorf("after 2s, 4s of 5s: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

// Turns of canceled attempts go back to Redis. Other attempts use those that Redis does not take.
func TestGiveBack(t *testing.T) {
	for _, row := range []struct {
		name  string
		taken int64
		err   error
		open  bool
		asked int
		kept  int // for other attempts
	}{
		{"all", 3, nil, false, 1, 0},
		{"the last", 1, nil, false, 1, 2},
		{"none", 0, nil, false, 1, 3},
		{"perhaps", 0, errors.New("no answer"), false, 1, 0},
		{"Redis is gone", 0, nil, true, 0, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			var offered []any
			f := &fakeRedis{back: func(args []any) (int64, error) {
				offered = args
				return row.taken, row.err
			}}
			r := &Rate{Client: f, Key: "k", N: 1, FailClosed: true, Breaker: &breaker.Breaker{}}
			if row.open {
				r.Breaker.ForceOpen()
			}
			now := time.Now()
			for i := range 3 {
				at := now.Add(time.Duration(i+1) * time.Second)
				r.turns.give(turn{at: at, last: at, n: 1, cost: time.Second, tat: int64(i + 1)})
			}
			r.returnTurns()
			want := []any{int64(3), int64(1e6), int64(2), int64(1e6), int64(1), int64(1e6)}
			if row.asked > 0 && !slices.Equal(offered, want) {
				t.Errorf("%s: offered %v, want %v", row.name, offered, want)
			}
			var kept []int64
			for _, turn := range r.turns.free {
				kept = append(kept, turn.tat)
			}
			if want := []int64{1, 2, 3}[:row.kept]; f.backs != row.asked || !slices.Equal(kept, want) {
				t.Errorf("%s: asked %d times, kept %v; want %d, %v", row.name, f.backs, kept, row.asked,
					want)
			}
		})
	}
}

// replied is an error that a server answers.
type replied string

func (e replied) Error() string { return string(e) }
func (replied) RedisError()     {}

// alert is how a connection reports an alert of TLS.
func alert(text string) error { return &net.OpError{Op: "remote error", Err: errors.New(text)} }

func TestOutcome(t *testing.T) {
	var ring redis.UniversalClient = redis.NewRing(&redis.RingOptions{})
	defer func() { _ = ring.Close() }()
	for _, row := range []struct {
		err    error
		early  bool
		client any
		gone   bool
		want   gate.Result
	}{
		{replied("WRONGPASS x"), false, nil, false, gate.OK}, // an answer
		{replied("WRONGPASS x"), true, nil, false, gate.OK},
		{replied("LOADING x"), true, nil, true, gate.Failed},
		{replied("TRYAGAIN x"), true, nil, true, gate.Failed},
		{replied("CLUSTERDOWN x"), true, nil, true, gate.Failed},
		{replied("MOVED 1 a:1"), false, nil, true, gate.Failed},
		{replied("ASK 1 a:1"), false, nil, true, gate.Failed},
		{replied("MOVED 1 a:1"), false, ring, false, gate.OK},
		{replied("ASK 1 a:1"), false, ring, false, gate.OK},
		{replied("ASKING is no such command"), false, ring, false, gate.OK},
		{errors.New("EOF"), true, nil, true, gate.Failed},
		{context.DeadlineExceeded, true, nil, true, gate.Skipped},
		{context.DeadlineExceeded, false, nil, true, gate.Failed},
		{redis.ErrPoolTimeout, true, nil, true, gate.Skipped},
		{redis.ErrPoolTimeout, false, nil, true, gate.Failed},
		{context.Canceled, false, nil, true, gate.Skipped},
		{redis.ErrClosed, false, nil, false, gate.OK},
		{&scriptError{"OK"}, false, nil, false, gate.OK},
		{alert("tls: handshake failure"), false, nil, false, gate.OK},
		{alert("tls: internal error"), false, nil, true, gate.Failed}, // may pass
		{&net.OpError{Op: "read", Err: errors.New("broken pipe")}, true, nil, true, gate.Failed},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, true, nil, true, gate.Failed},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.ErrNotExist}, true, nil, true, gate.Failed},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true, nil,
			false, gate.OK},
		{&net.AddrError{Err: "invalid port"}, true, nil, false, gate.OK},
	} {
		gone := unavailable(row.client, row.err)
		if got := outcome(row.err, gone, row.early); gone != row.gone || got.Result != row.want {
			t.Errorf("%v, early %v: gone %v, %v; want %v, %v", row.err, row.early, gone, got.Result,
				row.gone, row.want)
		}
	}
}

// The longest wait is the lesser of Wait and what the deadline leaves.
func TestLongest(t *testing.T) {
	for _, row := range []struct{ wait, left, longest, timeout time.Duration }{
		{time.Second, 0, time.Second, 10 * time.Second},
		{time.Second, time.Hour, time.Second, 10 * time.Second},
		{time.Second, time.Millisecond, time.Millisecond - 1, time.Millisecond / 2},
		{0, time.Millisecond, 0, time.Millisecond / 2},
		{time.Second, -time.Second, 0, -time.Second / 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &Rate{Wait: row.wait, Timeout: 10 * time.Second}
			ctx := t.Context()
			if row.left != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, time.Now().Add(row.left))
				defer cancel()
			}
			if l, d := r.longest(ctx), r.timeout(ctx); l != row.longest || d != row.timeout {
				t.Errorf("%+v: longest %v, timeout %v", row, l, d)
			}
		})
	}
}

// A panic in a client leaves the breaker around Redis.
func TestPanicInTheClient(t *testing.T) {
	f := &fakeRedis{book: func(context.Context) (any, error) { panic("a bug") }}
	r := &Rate{Client: f, Key: "k", N: 1, FailClosed: true}
	func() {
		defer func() {
			if v := recover(); !strings.Contains(fmt.Sprint(v), "a bug") {
				t.Errorf("got %v, want the panic", v)
			}
		}()
		_ = r.Take(t.Context(), 1)
	}()
	if s := r.redis().Snapshot(); s.State != breaker.Open {
		t.Errorf("the breaker is %v: want the failure counted", s.State)
	}
}
