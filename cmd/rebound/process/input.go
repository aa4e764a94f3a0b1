package process

import (
	"io"
	"os"
	"sync"
)

// Input is what attempts read.
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

// Replay returns an input that every attempt reads from the beginning. A regular file is handed to
// the command, and rewound. Of anything else a copy is kept as far as attempts read it, and what is
// under way to them, up to 160 KB, is lost to whatever reads src next.
func Replay(src io.Reader) *Input {
	if f, ok := src.(*os.File); ok {
		if in := rewound(f); in != nil {
			return in
		}
	}
	in := &Input{src: src}
	in.cond = sync.NewCond(&in.mu)
	return in
}

// Share returns an input that is handed to the command as it is. A regular file is rewound for the
// next attempt; anything else an attempt reads from where the one before has stopped.
func Share(f *os.File) *Input {
	if in := rewound(f); in != nil {
		return in
	}
	return Inherit(f)
}

// Inherit returns an input that all attempts read from f, each from where the last has stopped.
func Inherit(f *os.File) *Input { return &Input{file: f, fixed: true} }

// rewound returns the input of a regular file, nil for other files.
func rewound(f *os.File) *Input {
	stat, err := f.Stat()
	if err != nil || !stat.Mode().IsRegular() {
		return nil
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	return &Input{file: f, offset: at}
}

// rewind puts a file back to where it was before the first attempt.
func (in *Input) rewind() error {
	if in.fixed {
		return nil
	}
	_, err := in.file.Seek(in.offset, io.SeekStart)
	return err
}

func (in *Input) reader() *reader { return &reader{in: in} }

// pump reads from src what attempts ask for, in pieces. It is one goroutine, which may hang in a
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
