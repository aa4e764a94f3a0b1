//go:build unix

package store

import (
	"os"
	"path/filepath"
	"syscall"
)

// lockFile locks f, or fails if another process has the lock. The lock ends with the process, even
// after a crash.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// syncDir makes renames in path's directory survive a power cut.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
