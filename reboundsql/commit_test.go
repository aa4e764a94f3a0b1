package reboundsql_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

// answers are what Applied returns, in order: a bool or an error.
func answers(all ...any) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		if ctx.Err() != nil {
			return false, errors.New("asked with a dead context")
		}
		next := all[0]
		all = all[1:]
		if err, ok := next.(error); ok {
			return false, err
		}
		return next.(bool), nil
	}
}

const once = "1:open 1:begin 1:exec 1:commit"

var questions = []struct {
	name    string
	server  *server
	applied []any
	want    string
	reason  rebound.Reason
	doubt   bool
}{
	{
		name:    "applied: success",
		server:  new(server).says("commit", errWire),
		applied: []any{true},
		want:    once,
	}, {
		name:    "not applied: retried",
		server:  new(server).says("commit", errWire),
		applied: []any{false},
		want:    once + " 1:begin 1:exec 1:commit",
	}, {
		name:    "not applied at the last attempt: not in doubt",
		server:  new(server).says("commit", errWire, errWire, errWire),
		applied: []any{false, false, false},
		want:    once + " 1:begin 1:exec 1:commit 1:begin 1:exec 1:commit",
		reason:  rebound.Exhausted,
	}, {
		name:    "if Applied fails, it is called again before anything is repeated",
		server:  new(server).says("commit", errWire),
		applied: []any{io.EOF, io.EOF, true},
		want:    once,
	}, {
		name:    "if Applied always fails, the doubt stays",
		server:  new(server).says("commit", errWire),
		applied: []any{io.EOF, io.EOF, io.EOF},
		want:    once,
		reason:  rebound.Exhausted,
		doubt:   true,
	}, {
		name:    "a permanent failure of Applied is not retried",
		server:  new(server).says("commit", errWire),
		applied: []any{state("42601")},
		want:    once,
		reason:  rebound.NotRetryable,
		doubt:   true,
	}, {
		name:    "a key that exists after all: Applied is called again",
		server:  new(server).says("commit", errWire).says("exec", nil, state("23505")),
		applied: []any{false, true},
		want:    once + " 1:begin 1:exec 1:rollback",
	}, {
		name:    "another's key",
		server:  new(server).says("commit", errWire).says("exec", nil, state("23505")),
		applied: []any{false, false},
		want:    once + " 1:begin 1:exec 1:rollback",
		reason:  rebound.NotRetryable,
	}, {
		name:    "a rollback in the server's answer: Applied is not called",
		server:  new(server).says("commit", state("40001")),
		applied: []any{},
		want:    once + " 1:begin 1:exec 1:commit",
	},
}

func TestApplied(t *testing.T) {
	for _, c := range questions {
		t.Run(c.name, func(t *testing.T) {
			s := c.server.fresh()
			o := &reboundsql.Options{Applied: answers(c.applied...)}
			err := reboundsql.InTx(t.Context(), s.database(t), quick(3), o, write)
			check(t, s, err, c.want, c.reason)
			if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.doubt {
				t.Errorf("in doubt: %v, want %v: %v", got, c.doubt, err)
			}
		})
	}
}

// stuck makes the server hang on a word until its context ends.
func stuck(s *server, word string, times int) {
	s.hook = func(ctx context.Context, w string) error {
		if w != word || times == 0 {
			return nil
		}
		times--
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestAttemptTimeout(t *testing.T) {
	for _, c := range []struct {
		word  string
		want  string
		doubt bool
	}{
		{"begin", "1:open 1:begin 1:begin 1:exec 1:commit", false},
		{"exec", "1:open 1:begin 1:exec 1:rollback 1:begin 1:exec 1:commit", false},
		{"commit", "1:open 1:begin 1:exec 1:commit", true},
	} {
		t.Run(c.word, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				stuck(s, c.word, 1)
				p := quick(3)
				p.AttemptTimeout = time.Second
				start := time.Now()
				err := reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
				if got := time.Since(start).Round(time.Millisecond); got != time.Second {
					t.Errorf("took %v, want 1s", got)
				}
				if got := s.asked(); got != c.want {
					t.Errorf("asked\n%s, want\n%s", got, c.want)
				}
				if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.doubt {
					t.Errorf("in doubt: %v, want %v: %v", got, c.doubt, err)
				}
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the attempt's own end in it", err)
				}
			})
		})
	}
}

// If the context ends during BEGIN, the function is not called.
func TestEndDuringBegin(t *testing.T) {
	for name, result := range map[string]error{"begun": nil, "failed": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			s := &server{}
			why := errors.New("why")
			ctx, cancel := context.WithCancelCause(t.Context())
			s.hook = func(_ context.Context, word string) error {
				if word == "begin" {
					cancel(why)
					return result
				}
				return nil
			}
			err := reboundsql.InTx(ctx, s.database(t), quick(2), nil,
				func(context.Context, *sql.Tx) error {
					t.Error("the function was called")
					return nil
				})
			if !errors.Is(err, rebound.Canceled) || !errors.Is(err, why) {
				t.Errorf("got %v, want it canceled", err)
			}
		})
	}
}

// watched counts the functions that wait for its end.
type watched struct {
	context.Context
	waiting atomic.Int32
}

// Value hides the context inside, with which package context would register instead.
func (w *watched) Value(any) any { return nil }

func (w *watched) AfterFunc(f func()) func() bool {
	w.waiting.Add(1)
	stop := context.AfterFunc(w.Context, f)
	return func() bool { w.waiting.Add(-1); return stop() }
}

// A context that outlives many transactions keeps none of them.
func TestNothingWaitsForTheContext(t *testing.T) {
	ctx := &watched{Context: t.Context()}
	s := new(server).says("exec", state("42601")).says("begin", nil, state("42601"))
	db := s.database(t)
	for range 3 {
		_ = reboundsql.InTx(ctx, db, quick(1), nil, write)
	}
	if n := ctx.waiting.Load(); n != 0 {
		t.Errorf("%d functions wait for the end of the context, want 0", n)
	}
}

// Applied is not called with the ended context of the attempt.
func TestAppliedHasTimeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		stuck(s, "commit", 1)
		p := quick(1)
		p.AttemptTimeout = time.Second
		var left time.Duration
		applied := func(ctx context.Context) (bool, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return true, ctx.Err()
		}
		o := &reboundsql.Options{Applied: applied}
		err := reboundsql.InTx(t.Context(), s.database(t), p, o, write)
		if err != nil || left != time.Second {
			t.Errorf("got %v with %v left, want nil and 1s", err, left)
		}
	})
}

// A closure that ignores its context is not committed after its time.
func TestNoCommitAfterTheEnd(t *testing.T) {
	s := &server{}
	ctx, cancel := context.WithCancel(t.Context())
	err := reboundsql.InTx(ctx, s.database(t), quick(3), nil, func(context.Context, *sql.Tx) error {
		cancel()
		return nil
	})
	check(t, s, err, "1:open 1:begin 1:rollback", rebound.Canceled)
	if errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		t.Errorf("%v matches ErrOutcomeUnknown, want it not to: COMMIT was never sent", err)
	}
}

func TestCallerLeavesDuringCommit(t *testing.T) {
	s := &server{}
	ctx, cancel := context.WithCancel(t.Context())
	s.hook = func(life context.Context, word string) error {
		if word == "commit" {
			cancel()
			<-life.Done()
			return life.Err()
		}
		return nil
	}
	o := &reboundsql.Options{Applied: answers()}
	err := reboundsql.InTx(ctx, s.database(t), quick(3), o, write)
	check(t, s, err, "1:open 1:begin 1:exec 1:commit", rebound.Canceled)
	if !errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		t.Errorf("%v does not match ErrOutcomeUnknown", err)
	}
}

// A pool full of dead connections costs one attempt one probe.
func TestDeadPoolIsFoundOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db := s.database(t)
		db.SetMaxIdleConns(8)
		var idle []*sql.Conn
		for range 8 {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, conn)
		}
		for _, conn := range idle {
			conn.Close()
		}
		opened := false
		s.hook = func(ctx context.Context, word string) error {
			opened = opened || word == "open"
			if word == "ping" && !opened {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		s.says("exec", io.EOF)
		s.log = nil
		start := time.Now()
		err := reboundsql.InTx(t.Context(), db, quick(2), nil, write)
		if got := time.Since(start).Round(time.Millisecond); got != time.Second {
			t.Errorf("took %v, want 1s", got)
		}
		check(t, s, err, "8:begin 8:exec 8:rollback 8:ping 9:open 9:ping 9:begin 9:exec 9:commit", "")
	})
}

// A ROLLBACK that hangs is abandoned after five seconds, under any context of the call, if the
// driver obeys contexts.
func TestRollbackIsBounded(t *testing.T) {
	for _, name := range []string{"canceled at the end", "never canceled", "ended before"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, want := t.Context(), 5*time.Second
				p := quick(1)
				s := &server{}
				stuck(s, "rollback", 1)
				switch name {
				case "never canceled":
					ctx = context.Background()
				case "ended before":
					p.AttemptTimeout, want = time.Second, 6*time.Second
				}
				start := time.Now()
				err := reboundsql.InTx(ctx, s.database(t), p, nil,
					func(ctx context.Context, _ *sql.Tx) error {
						if p.AttemptTimeout > 0 {
							<-ctx.Done()
						}
						return state("42601")
					})
				if got := time.Since(start); got != want {
					t.Errorf("took %v, want %v", got, want)
				}
				if !errors.Is(err, state("42601")) {
					t.Errorf("got %v, want the closure's own error", err)
				}
			})
		})
	}
}

// The end of an attempt is not the end of its ROLLBACK's context.
func TestRollbackAfterTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		begin := func(context.Context) (native, error) { return native{log: &log}, nil }
		p := quick(1)
		p.AttemptTimeout = time.Second
		err := reboundsql.InTxOf(t.Context(), begin, p, nil,
			func(ctx context.Context, _ native) error {
				<-ctx.Done()
				return ctx.Err()
			})
		if err == nil || !slices.Equal(log, []string{"rollback"}) {
			t.Errorf("got %v and %q, want one rollback with a live context", err, log)
		}
	})
}

// InTx costs little beside the transaction, so it can be used for every transaction.
func TestAllocations(t *testing.T) {
	s := &server{}
	db := s.database(t)
	ctx := context.Background()
	byHand := testing.AllocsPerRun(1000, func() {
		s.log = s.log[:0]
		tx, err := db.BeginTx(ctx, nil)
		if err == nil {
			err = errors.Join(write(ctx, tx), tx.Commit())
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	p := quick(1)
	got := testing.AllocsPerRun(1000, func() {
		s.log = s.log[:0]
		if err := reboundsql.InTx(ctx, db, p, nil, write); err != nil {
			t.Fatal(err)
		}
	})
	if got > byHand+4 {
		t.Errorf("%v allocations, %v by hand, want at most 4 more", got, byHand)
	}
}
