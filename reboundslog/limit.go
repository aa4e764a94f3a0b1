package reboundslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/rebound-go/rebound/limit"
)

// OnLimit logs a change of a limit, at level Debug. Use it as [limit.Adaptive.OnChange]. A limit
// changes at most once a second, so no line is dropped.
func (l *Logger) OnLimit(c limit.Change) {
	// A change belongs to no single call, so there is no context of a call.
	h, ctx := l.handler(), context.Background()
	if !h.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelDebug, "rebound: limit changed", 0)
	r.AddAttrs(slog.String("limit", c.Name), slog.Int("from", c.From), slog.Int("to", c.To))
	_ = h.Handle(ctx, r)
}
