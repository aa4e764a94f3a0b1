// Package reboundslog logs what policies do. It writes one line for each retry, failed call,
// fallback and hedge, and for each change of a breaker's state or of an adaptive limit. It writes
// no line for a call that succeeds. An outage does not flood the log: after 10 lines of one kind
// per policy in 10 s, it only counts further lines and then writes their number.
//
//	var log reboundslog.Logger // writes to slog.Default()
//	policy := &rebound.Policy{Name: "ocr", Observe: log.Observe}
//	policy.Breaker = &breaker.Breaker{Name: "ocr", OnChange: log.OnChange}
//
// The keys are stable:
//
//   - A retry has policy, attempt, kind, detail (if any), delay, elapsed and error.
//   - A failed call has the same keys, but reason instead of delay. kind and error are those of the
//     last attempt, if there was one. cause is the error that ended the call from outside, such as
//     that of a breaker, the budget or the context. If a gate rejected the call, gate is its kind
//     and name, such as "breaker ocr".
//   - A fallback has policy, attempt, reason, elapsed and, if it failed, error.
//   - A breaker's change has breaker, from, to, forced and shadow (if true), why, and detail (if
//     any).
//   - A hedge has hedge, leg, reason (if it was denied) and elapsed.
//   - A limit's change has limit, from and to.
//   - A line about dropped lines has policy or hedge, message, dropped and period.
package reboundslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/rejection"
)

// The messages of lines that do not report an event. Messages are fixed texts, so that a log can
// be searched for them.
const (
	changed = "rebound: breaker changed"
	dropped = "rebound: lines dropped"
)

// messages are the messages of the events that are logged. Succeeded is not logged, because most
// calls succeed.
var messages = map[rebound.EventKind]string{
	rebound.Retrying: "rebound: retrying",
	rebound.GaveUp:   "rebound: gave up",
	rebound.FellBack: "rebound: fell back",
}

const (
	defaultLines = 10
	defaultEvery = 10 * time.Second
)

// Logger turns events and changes into log lines. The zero Logger is ready to use. Policies and
// goroutines may share it. Once it is in use, do not copy it or change its fields.
type Logger struct {
	// To is the logger that gets the lines. Nil = slog.Default() at the time of the line.
	To *slog.Logger

	// Level returns the level at which an event is logged. Nil = the function Level.
	Level func(rebound.Event) slog.Level

	// Lines is the largest number of lines of each kind for each policy in a period of Every. Retries,
	// failed calls and fallbacks are counted separately. Further lines are dropped, and their number
	// is written when the period ends. 0 = 10; negative = no limit.
	Lines int

	// Every is the length of this period. A period begins with a line. 0 = 10 s.
	Every time.Duration

	meter meter
}

// Level returns the default level of an event:
//   - Info for a retry, for a call that its caller canceled, and for a fallback that succeeded
//   - Error for a call whose policy, or its use, is invalid
//   - Warn for any other failed call, and for a fallback that failed
func Level(e rebound.Event) slog.Level {
	switch {
	case e.Kind == rebound.FellBack && e.Err != nil:
		return slog.LevelWarn
	case e.Kind != rebound.GaveUp, e.Reason == rebound.Canceled:
		return slog.LevelInfo
	case e.Reason == rebound.Invalid:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// Observe logs an event. Use it as [rebound.Policy.Observe], or call it from there. The handler
// gets ctx, the caller's context. An event that is not logged, such as a success, costs no
// allocation.
func (l *Logger) Observe(ctx context.Context, e rebound.Event) {
	message, logged := messages[e.Kind]
	if !logged {
		return
	}
	h, level := l.handler(), l.level(e)
	if !h.Enabled(ctx, level) || !l.meter.admit(l, account{name: e.Policy, kind: string(e.Kind)}) {
		return
	}
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(slog.String("policy", e.Policy), slog.Int("attempt", e.Attempt))
	if e.Kind == rebound.FellBack {
		r.AddAttrs(slog.String("reason", string(e.Reason)), slog.Duration("elapsed", e.Elapsed))
		if e.Err != nil {
			r.AddAttrs(slog.Any("error", e.Err))
		}
		_ = h.Handle(ctx, r)
		return
	}
	// A call without attempts has no failure of an attempt, and so no kind.
	if e.Attempt > 0 {
		r.AddAttrs(slog.String("kind", e.Fault.Kind.String()))
	}
	r.AddAttrs(detail(e.Fault)...)
	if e.Kind == rebound.GaveUp {
		r.AddAttrs(slog.String("reason", string(e.Reason)))
	} else {
		r.AddAttrs(slog.Duration("delay", e.Delay))
	}
	if gate, ok := rejection.By(e); ok {
		r.AddAttrs(slog.String("gate", gate.String()))
	}
	r.AddAttrs(slog.Duration("elapsed", e.Elapsed))
	r.AddAttrs(failure(e.Err)...)
	_ = h.Handle(ctx, r)
}

// OnChange logs a change of a breaker. Use it as [breaker.Breaker.OnChange]. The level is Warn if
// the breaker opens, and Info otherwise. Changes are rare, so no line is dropped.
func (l *Logger) OnChange(c breaker.Change) {
	ctx, h, level := context.Background(), l.handler(), slog.LevelInfo
	if c.To == breaker.Open {
		level = slog.LevelWarn
	}
	if !h.Enabled(ctx, level) {
		return
	}
	// The record has the time of the change, because OnChange may be called later.
	r := slog.NewRecord(c.At, level, changed, 0)
	r.AddAttrs(slog.String("breaker", c.Name),
		slog.String("from", c.From.String()), slog.String("to", c.To.String()))
	// Keys that are rarely true are left out, to keep the usual line short.
	if c.Forced {
		r.AddAttrs(slog.Bool("forced", true))
	}
	if c.Shadow {
		r.AddAttrs(slog.Bool("shadow", true))
	}
	r.AddAttrs(slog.String("why", c.Why))
	r.AddAttrs(detail(c.Fault)...)
	_ = h.Handle(ctx, r)
}

// Flush writes the numbers of dropped lines at once, and ends their periods. Call it before the
// program exits.
func (l *Logger) Flush() { l.meter.flush(l) }

// failure returns the keys error and cause of a call's error. Its other parts have keys of their
// own.
func failure(err error) []slog.Attr {
	e, ok := err.(*rebound.Error)
	switch {
	case !ok || e.Err == nil && e.Cause == nil:
		return []slog.Attr{slog.Any("error", err)}
	case e.Err == nil:
		return []slog.Attr{slog.Any("cause", e.Cause)}
	case e.Cause == nil:
		return []slog.Attr{slog.Any("error", e.Err)}
	}
	return []slog.Attr{slog.Any("error", e.Err), slog.Any("cause", e.Cause)}
}

// detail returns the key detail, unless it is empty.
func detail(f fault.Fault) []slog.Attr {
	if f.Detail == "" {
		return nil
	}
	return []slog.Attr{slog.String("detail", f.Detail)}
}

// handler is called for every line, because a program may set slog's default later.
func (l *Logger) handler() slog.Handler {
	if l.To == nil {
		return slog.Default().Handler()
	}
	return l.To.Handler()
}

func (l *Logger) level(e rebound.Event) slog.Level {
	if l.Level == nil {
		return Level(e)
	}
	return l.Level(e)
}

func (l *Logger) lines() int {
	if l.Lines == 0 {
		return defaultLines
	}
	return l.Lines
}

func (l *Logger) every() time.Duration {
	if l.Every <= 0 {
		return defaultEvery
	}
	return l.Every
}
