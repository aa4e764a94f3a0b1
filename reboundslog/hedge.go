package reboundslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/rebound-go/rebound/hedge"
)

// OnHedge logs the events of a hedge. Use it as [hedge.Hedge.Observe]. It writes a line at level
// Debug for each hedge that starts, wins or loses, and a line at level Info for each hedge that is
// denied. It writes no line for the end of the first attempt, because the hedge's line implies it.
// The number of lines is limited for each hedge, as for policies.
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
