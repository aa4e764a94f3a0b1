package store

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks f, or fails if another process has the lock. The lock ends with the process, even
// after a crash.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	// It locks a byte far beyond the end, so that the content can be read and written.
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0,
		&windows.Overlapped{OffsetHigh: 1 << 30})
}

// syncDir does nothing: Windows syncs renames by itself.
func syncDir(string) error { return nil }
