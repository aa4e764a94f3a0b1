package engines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/internal/daemon"
)

// asynqPolicy adapts a policy to asynq's middleware and its RetryDelayFunc. Both are needed.
type asynqPolicy struct{ *rebound.Policy }

func (p asynqPolicy) decide(ctx context.Context, retries int, err error) rebound.Decision {
	s := rebound.State{Attempt: retries + 1, U: rand.Float64(), Durable: true}
	return p.Decide(s, p.Fault(ctx, err))
}

// Middleware archives what the policy does not retry.
func (p asynqPolicy) Middleware(next asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		err := next.ProcessTask(ctx, t)
		retries, _ := asynq.GetRetryCount(ctx)
		d := p.decide(ctx, retries, err)
		if err == nil || d.Retry || d.Reason == rebound.Canceled { // this worker stops
			return err
		}
		return fmt.Errorf("%w (%s): %w", err, d.Reason, asynq.SkipRetry)
	})
}

// Delay is asynq's RetryDelayFunc. It adds a second, because asynq truncates to whole seconds.
func (p asynqPolicy) Delay(retries int, err error, _ *asynq.Task) time.Duration {
	return p.decide(context.Background(), retries, err).Delay + time.Second
}

// startRedis starts a server that keeps what it has acknowledged.
func startRedis() (*daemon.Daemon, error) {
	return daemon.Redis("--appendonly", "yes", "--appendfsync", "always")
}

// asynqRun has a server of asynq, with one worker.
type asynqRun struct {
	*daemon.Daemon
	t         *testing.T
	client    *asynq.Client
	inspector *asynq.Inspector
}

func runAsynq(
	t *testing.T, d *daemon.Daemon, p *rebound.Policy,
	work func(ctx context.Context, n int) error, opts ...asynq.Option,
) *asynqRun {
	t.Helper()
	opt := asynq.RedisClientOpt{Addr: d.Addr()}
	policy := asynqPolicy{p}
	queue := filepath.Base(t.Name())
	s := asynq.NewServer(opt, asynq.Config{
		Concurrency: 1, Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel,
		RetryDelayFunc: policy.Delay, TaskCheckInterval: 20 * time.Millisecond,
		DelayedTaskCheckInterval: 50 * time.Millisecond, // 5 s by default
		ShutdownTimeout:          100 * time.Millisecond,
	})
	mux := asynq.NewServeMux()
	mux.Use(policy.Middleware)
	mux.HandleFunc("receipt", func(ctx context.Context, _ *asynq.Task) error {
		n, _ := asynq.GetRetryCount(ctx)
		return work(ctx, n)
	})
	if err := s.Start(mux); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	r := &asynqRun{d, t, asynq.NewClient(opt), asynq.NewInspector(opt)}
	t.Cleanup(func() { _ = r.client.Close(); _ = r.inspector.Close() })
	_, err := r.client.Enqueue(asynq.NewTask("receipt", nil, opts...), asynq.TaskID("1"),
		asynq.Queue(queue), asynq.MaxRetry(p.MaxAttempts()-1), asynq.Retention(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// end waits for the task's end, and returns what asynq has stored.
func (r *asynqRun) end() *asynq.TaskInfo {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		info, err := r.inspector.GetTaskInfo(filepath.Base(r.t.Name()), "1")
		if err == nil &&
			(info.State == asynq.TaskStateArchived || info.State == asynq.TaskStateCompleted) {
			return info
		}
		<-time.After(20 * time.Millisecond)
	}
	r.t.Fatal("the task has not ended")
	return nil
}

func TestAsynq(t *testing.T) {
	d := daemon.Require(t, startRedis)
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(10 * time.Millisecond)}
	for name, test := range map[string]struct {
		err   error // of the first attempt, or of all if it is errReset
		state asynq.TaskState
		ran   int
		text  string
	}{
		"permanent": {rebound.Permanent(errReset), asynq.TaskStateArchived, 1,
			"connection reset (not_retryable): skip retry for the task"},
		"exhausted": {errReset, asynq.TaskStateArchived, 3,
			"connection reset (exhausted): skip retry for the task"},
		"retry-after": {rebound.RetryAfter(errReset, time.Second), asynq.TaskStateCompleted, 2,
			"connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			var at []time.Time
			info := runAsynq(t, d, p, func(context.Context, int) error {
				at = append(at, time.Now())
				if len(at) > 1 && test.err != errReset {
					return nil
				}
				return test.err
			}).end()
			if info.State != test.state || len(at) != test.ran || info.LastErr != test.text {
				t.Errorf("%v after %d attempts: %q", info.State, len(at), info.LastErr)
			}
			if name == "retry-after" && at[1].Sub(at[0]) < time.Second {
				t.Errorf("the second attempt came after %v", at[1].Sub(at[0]))
			}
		})
	}
	// Neither reaches the middleware. Asynq's own count ends both.
	for name, opt := range map[string]asynq.Option{
		"panic": asynq.Timeout(time.Hour), "timeout": asynq.Timeout(time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			two := &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(10 * time.Millisecond)}
			var ran atomic.Int64
			r := runAsynq(t, d, two, func(ctx context.Context, _ int) error {
				if ran.Add(1); name == "panic" {
					panic("bug")
				}
				<-ctx.Done()
				<-time.After(100 * time.Millisecond) // the handler is late
				return nil
			}, opt)
			if info := r.end(); info.State != asynq.TaskStateArchived || ran.Load() != 2 {
				t.Errorf("%v after %d attempts: %q", info.State, ran.Load(), info.LastErr)
			}
		})
	}
}

// A long Retry-After delay and a worker that stops do not end a task.
func TestAsynqGoesOn(t *testing.T) {
	p := asynqPolicy{&rebound.Policy{}}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	long := rebound.RetryAfter(errReset, time.Hour)
	for _, test := range []struct {
		ctx context.Context
		err error
	}{{stopped, context.Canceled}, {t.Context(), long}} {
		err := p.Middleware(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			return test.err
		})).ProcessTask(test.ctx, asynq.NewTask("receipt", nil))
		if !errors.Is(err, test.err) || errors.Is(err, asynq.SkipRetry) {
			t.Errorf("%v: got %v", test.err, err)
		}
	}
	if d := p.Delay(0, long, nil); d < time.Hour {
		t.Errorf("the delay is %v", d)
	}
}

// Redis is killed while a task runs, and comes back.
func TestAsynqRedisGone(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(10 * time.Millisecond)}
	d := daemon.Require(t, startRedis)
	in, back := make(chan struct{}), make(chan struct{})
	var ran atomic.Int64
	r := runAsynq(t, d, p, func(context.Context, int) error {
		if ran.Add(1) == 1 {
			close(in)
			<-back
			return errReset
		}
		return nil
	})
	<-in
	d.Kill()
	if err := d.Run(); err != nil {
		t.Fatal(err)
	}
	close(back)
	if info := r.end(); info.State != asynq.TaskStateCompleted || ran.Load() != 2 {
		t.Errorf("%v after %d attempts: %q", info.State, ran.Load(), info.LastErr)
	}
}

// A wrong password is an error of Ping, and not of Start.
func TestAsynqWrongPassword(t *testing.T) {
	d := daemon.Require(t, startRedis)
	conn, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer := make([]byte, 5)
	if _, err := io.WriteString(conn, "CONFIG SET requirepass right\r\n"); err != nil {
		t.Fatal(err)
	} else if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "+OK\r\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	s := asynq.NewServer(asynq.RedisClientOpt{Addr: d.Addr(), Password: "wrong"},
		asynq.Config{LogLevel: asynq.FatalLevel})
	if err := s.Ping(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("Ping: %v", err)
	}
	if err := s.Start(asynq.NewServeMux()); err != nil {
		t.Errorf("Start has an error now, which the page can say: %v", err)
	}
	s.Shutdown()
}
