package reboundslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/rebound-go/rebound/hedge"
)

// OnHedge is made to be [hedge.Hedge.Observe]. It writes a line for each hedge that begins, that
// wins or loses, at level Debug, and one for each that is denied, at Info. How the first attempt
// of a hedged call ended is left out: the line of its hedge says it. Lines are limited per hedge
// as those of policies are.
func (l *Logger) OnHedge(ctx context.Context, e hedge.Event) {
	if e.Leg == 1 {
		return
	}
	a := account{hedge: true, name: e.Hedge, kind: string(e.Kind)}
	h, level := l.handler(), a.level(l)
	if !h.Enabled(ctx, level) || !l.meter.admit(l, a) {
		return
	}
	r := slog.NewRecord(time.Now(), level, a.message(), 0)
	r.AddAttrs(slog.String("hedge", e.Hedge), slog.Int("leg", e.Leg))
	if e.Kind == hedge.Denied {
		r.AddAttrs(slog.String("reason", string(e.Reason)))
	}
	r.AddAttrs(slog.Duration("elapsed", e.Elapsed))
	_ = h.Handle(ctx, r)
}
