package process

import (
	"io"
	"os"
	"sync"
)

// Input is what attempts read.
type Input struct {
	file   *os.File // the command reads it itself
	offset int64    // where the first attempt begins
	fixed  bool     // file is not rewound

	mu    sync.Mutex
	cond  *sync.Cond
	src   io.Reader
	kept  spool
	want  int64 // the length that a reader waits for
	ended error // why there is no more: io.EOF, or an error
	began bool
}

// Replay returns an input that every attempt reads from the beginning. A regular file is rewound.
// Anything else is copied as far as attempts read it. Up to 160 KB more are read from src, which
// its next reader does not get.
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

// Share returns an input that the command reads itself. A regular file is rewound for the next
// attempt. From anything else, an attempt reads what the previous ones have left.
func Share(f *os.File) *Input {
	if in := rewound(f); in != nil {
		return in
	}
	return Inherit(f)
}

// Inherit returns an input that the command reads itself. An attempt reads what the previous ones
// have left.
func Inherit(f *os.File) *Input { return &Input{file: f, fixed: true} }

// rewound returns the input of a regular file, or nil for other files.
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

// pump reads src as far as attempts need it. It runs in one goroutine, which may still be in a Read
// after the last attempt.
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

// close makes a Read that waits return.
func (r *reader) close() {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	r.closed = true
	r.in.cond.Broadcast()
}
