// Package reboundslog writes what policies do into a log: one line for each retry, one for each
// call that was given up, one for its fallback if there is one, one for each change of a breaker's
// state or of an adaptive limit, and one for each hedge. Calls that succeed leave no line, and an
// outage does not flood the log: beyond some lines per policy and period, lines are counted instead
// of written, and the count is.
//
//	var log reboundslog.Logger // writes to slog.Default()
//	policy := &rebound.Policy{Name: "ocr", Observe: log.Observe}
//	policy.Breaker = &breaker.Breaker{Name: "ocr", OnChange: log.OnChange}
//
// The keys are stable. A retry has policy, attempt, kind, detail (if there is one), delay, elapsed
// and error. A call given up has reason in place of delay; error is that of its last attempt, if
// there was one, and cause what ended the call from outside, if something did: a breaker, the
// budget, the context. If a gate rejected the call, gate is its kind and name, such as "breaker
// ocr". A fallback has policy, attempt, reason, elapsed and, if it failed, error. A change has
// breaker, from, to, forced and shadow (if it is), why and detail. A hedge has hedge, leg, reason
// (if it was denied) and elapsed. A limit has limit, from and to. A count has policy or hedge,
// message, dropped and period.
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

// The messages of the lines that are no events.
const (
	changed = "rebound: breaker changed"
	dropped = "rebound: lines dropped"
)

// messages are those of the events that are logged.
var messages = map[rebound.EventKind]string{
	rebound.Retrying: "rebound: retrying",
	rebound.GaveUp:   "rebound: gave up",
	rebound.FellBack: "rebound: fell back",
}

const (
	defaultLines = 10
	defaultEvery = 10 * time.Second
)

// Logger turns events and changes into lines. The zero Logger is ready. It is made to be shared by
// policies and goroutines; it must not be copied, nor its fields changed, once it is in use.
type Logger struct {
	// To is where the lines go. Nil means slog.Default(), asked for at every line.
	To *slog.Logger

	// Level says at which level an event is logged. Nil means Level, the function.
	Level func(rebound.Event) slog.Level

	// Lines is how many lines each policy may write in a period of Every: so many about retries,
	// and as many about calls given up. Further ones are counted, and the count is written when
	// the period ends. 0 means 10; a negative number means no limit.
	Lines int

	// Every is the length of that period, which begins with a line. 0 means 10 s.
	Every time.Duration

	meter meter
}

// Level is how loud an event is unless a [Logger] says otherwise: Info for a retry, for a call that
// its caller canceled, and for a fallback that answered; Warn for any other call given up, and for
// a fallback that failed; Error if that is because the policy, or its use, is wrong.
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

// Observe is made to be, or to be part of, [rebound.Policy.Observe]. It hands ctx, which is the
// caller's, on to the handler. An event that is not logged, as all successes are not, costs no
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

// OnChange is made to be [breaker.Breaker.OnChange]. A breaker that opens is worth a Warn, all else
// is Info. Changes are few, and never dropped.
func (l *Logger) OnChange(c breaker.Change) {
	ctx, h, level := context.Background(), l.handler(), slog.LevelInfo
	if c.To == breaker.Open {
		level = slog.LevelWarn
	}
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(c.At, level, changed, 0)
	r.AddAttrs(slog.String("breaker", c.Name),
		slog.String("from", c.From.String()), slog.String("to", c.To.String()))
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

// Flush writes the counts of lines dropped so far without waiting for the period to end: for the
// end of a program.
func (l *Logger) Flush() { l.meter.flush(l) }

// failure is what an error holds beside what has a key of its own: of a call given up, the last
// attempt's error, and as cause what ended the call from outside.
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

// detail is the fact that decided, in so far as there is one.
func detail(f fault.Fault) []slog.Attr {
	if f.Detail == "" {
		return nil
	}
	return []slog.Attr{slog.String("detail", f.Detail)}
}

// handler is asked for at every line, as a program may set slog's default later.
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
