// Package regular opens files that a user names. Opening never blocks, not even for a FIFO.
package regular

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Open opens a file for reading. A directory, a device, a socket and a FIFO are errors: opening a
// FIFO blocks until a program writes to it. A pipe that is already open is accepted: /dev/stdin, or
// the /dev/fd/63 that a shell passes for <(command).
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return os.Open(path) // its error names the operation
	}
	what := kind(info.Mode())
	if what == "FIFO" && isOpen(path) {
		what = ""
	}
	if what != "" {
		return nil, fmt.Errorf("%s is a %s: want a regular file", path, what)
	}
	return os.Open(path)
}

// Read reads a whole file. A file of more than most bytes is an error, so Read returns even from an
// endless pipe.
func Read(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d MB", path, most>>20)
	}
	return data, err
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return ""
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// isOpen reports whether the path names a file descriptor of this process.
func isOpen(path string) bool {
	path = filepath.Clean(path)
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") ||
		strings.HasPrefix(path, "/proc/self/fd/")
}
