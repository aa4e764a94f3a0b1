package process

import (
	"io"
	"os"
)

// inMemory is how much a spool keeps without a file.
const inMemory = 1 << 20

// spool keeps what is written to it: 1 MB in memory, the rest in a temporary file without a name.
type spool struct {
	memory []byte
	file   *os.File // the rest; nil = none
	size   int64
}

// Write returns the error of the file, or of its creation. What was kept can still be read.
func (s *spool) Write(p []byte) (n int, err error) {
	n = min(len(p), inMemory-len(s.memory))
	s.memory = append(s.memory, p[:n]...)
	if n < len(p) {
		var more int
		more, err = s.writeFile(p[n:])
		n += more
	}
	s.size += int64(n)
	return n, err
}

func (s *spool) writeFile(p []byte) (n int, err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp("", "rebound-*"); err != nil {
			return 0, err
		}
		unlink(s.file)
	}
	return s.file.Write(p)
}

// ReadAt reads from memory or from the file, not from both at once. So it may return less than
// len(p) without an error.
func (s *spool) ReadAt(p []byte, at int64) (n int, err error) {
	if at >= s.size {
		return 0, io.EOF
	}
	if at < int64(len(s.memory)) {
		return copy(p, s.memory[at:]), nil
	}
	return s.file.ReadAt(p[:min(int64(len(p)), s.size-at)], at-int64(len(s.memory)))
}

// reader returns a reader of everything that was written so far.
func (s *spool) reader() io.Reader { return io.NewSectionReader(s, 0, s.size) }

// Close discards everything.
func (s *spool) Close() {
	if s.file != nil {
		s.file.Close()
		discard(s.file)
	}
	*s = spool{}
}
