package reboundslog_test

import "log/slog"

// timeless removes the level, and everything that differs between runs.
var timeless = &slog.HandlerOptions{
	ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, "elapsed":
			return slog.Attr{}
		}
		return a
	},
}
