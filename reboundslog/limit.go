package reboundslog

import (
	"context"
	"log/slog"
	"time"

	"github.com/rebound-go/rebound/limit"
)

// OnLimit is made to be [limit.Adaptive.OnChange]. It writes a line for each change, at level
// Debug: a limit changes once a second at most, so no line is dropped.
func (l *Logger) OnLimit(c limit.Change) {
	h, ctx := l.handler(), context.Background()
	if !h.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelDebug, "rebound: limit changed", 0)
	r.AddAttrs(slog.String("limit", c.Name), slog.Int("from", c.From), slog.Int("to", c.To))
	_ = h.Handle(ctx, r)
}
