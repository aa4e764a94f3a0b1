package reboundslog_test

import "log/slog"

// timeless leaves out of a log what is never twice the same, and the level.
var timeless = &slog.HandlerOptions{
	ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, "elapsed":
			return slog.Attr{}
		}
		return a
	},
}
