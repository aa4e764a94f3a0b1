// Package regular opens files that a user has named, and never blocks on what is not a file.
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
// FIFO blocks until a program writes to it. A pipe that is open already may be read, as a shell
// passes it: /dev/stdin, or /dev/fd/63 for <(command).
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return os.Open(path) // whose error says what was tried
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

// Read is Open for the whole file, of at most so many bytes. The limit ends the reading of a pipe
// without an end.
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

// isOpen reports whether the path names a file descriptor.
func isOpen(path string) bool {
	path = filepath.Clean(path)
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") ||
		strings.HasPrefix(path, "/proc/self/fd/")
}
