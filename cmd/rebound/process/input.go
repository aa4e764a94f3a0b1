package process

import (
	"io"
	"os"
	"sync"
)

// Input is read from the beginning by every attempt. What comes from a pipe is kept, as far as
// attempts have read it: 1 MB in memory, the rest in a temporary file without a name.
type Input struct {
	file   *os.File // handed to the command itself
	offset int64    // where it begins
	fixed  bool     // file cannot be rewound

	mu    sync.Mutex
	cond  *sync.Cond
	src   io.Reader
	kept  spool
	want  int64 // the length that a reader waits for
	ended error // why there is no more: io.EOF, or an error
	began bool
}

// Replay returns the input that is in src: a regular file is rewound, all else is kept.
func Replay(src io.Reader) *Input {
	if f, ok := src.(*os.File); ok {
		if stat, err := f.Stat(); err == nil && stat.Mode().IsRegular() {
			if at, err := f.Seek(0, io.SeekCurrent); err == nil {
				return &Input{file: f, offset: at}
			}
		}
	}
	in := &Input{src: src}
	in.cond = sync.NewCond(&in.mu)
	return in
}

// Inherit returns the input that all attempts read from f, one going on where the last has ended.
func Inherit(f *os.File) *Input { return &Input{file: f, fixed: true} }

func (in *Input) rewind() error {
	if in.fixed {
		return nil
	}
	_, err := in.file.Seek(in.offset, io.SeekStart)
	return err
}

func (in *Input) reader() *reader { return &reader{in: in} }

// pump reads from src what attempts ask for, and no more. It is one goroutine, which may hang in a
// read when the last attempt has ended.
func (in *Input) pump() {
	buf := make([]byte, 64<<10)
	for {
		in.mu.Lock()
		for in.want <= in.kept.size {
			in.cond.Wait()
		}
		in.mu.Unlock()
		n, err := in.src.Read(buf)
		in.mu.Lock()
		if _, werr := in.kept.Write(buf[:n]); werr != nil {
			err = werr
		}
		in.ended = err
		in.cond.Broadcast()
		in.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// reader is one attempt's view of an Input.
type reader struct {
	in     *Input
	at     int64
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	in := r.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for r.at >= in.kept.size && in.ended == nil && !r.closed {
		in.want = max(in.want, r.at+1)
		if !in.began {
			in.began = true
			go in.pump()
		}
		in.cond.Broadcast()
		in.cond.Wait()
	}
	switch {
	case r.closed:
		return 0, os.ErrClosed
	case r.at >= in.kept.size:
		return 0, in.ended
	}
	n, err := in.kept.ReadAt(p[:min(int64(len(p)), in.kept.size-r.at)], r.at)
	r.at += int64(n)
	return n, err
}

// close lets a Read that waits return.
func (r *reader) close() {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	r.closed = true
	r.in.cond.Broadcast()
}

// inMemory is how much a spool keeps without a file.
const inMemory = 1 << 20

// spool keeps what is written to it.
type spool struct {
	memory []byte
	file   *os.File // what follows, if it is more
	size   int64
}

func (s *spool) Write(p []byte) (n int, err error) {
	n = min(len(p), inMemory-len(s.memory))
	s.memory = append(s.memory, p[:n]...)
	if n < len(p) {
		if s.file == nil {
			if s.file, err = os.CreateTemp("", "rebound-*"); err != nil {
				return n, err
			}
			unlink(s.file)
		}
		var more int
		more, err = s.file.Write(p[n:])
		n += more
	}
	s.size += int64(n)
	return n, err
}

// ReadAt reads what is there; it is never asked for more.
func (s *spool) ReadAt(p []byte, at int64) (n int, err error) {
	if at >= s.size {
		return 0, io.EOF
	}
	if at < int64(len(s.memory)) {
		return copy(p, s.memory[at:]), nil
	}
	return s.file.ReadAt(p[:min(int64(len(p)), s.size-at)], at-int64(len(s.memory)))
}

// Close drops everything.
func (s *spool) Close() {
	if s.file != nil {
		s.file.Close()
		discard(s.file)
	}
	*s = spool{}
}
