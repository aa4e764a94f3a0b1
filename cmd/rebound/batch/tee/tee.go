// Package tee copies a file that grows.
package tee

import (
	"io"
	"os"
	"time"
)

// interval is the time between two looks at the file.
const interval = 50 * time.Millisecond

// Follow copies a file to out: what it has, and of what it gets as many bytes as more allows, until
// stop is called. What more allows by then is copied by stop, which returns the first error.
func Follow(path string, more func() int64, out io.Writer) (stop func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	t := &follower{
		f: f, had: info.Size(), more: more, out: out,
		done: make(chan struct{}), ended: make(chan error),
	}
	go t.run()
	return func() error {
		close(t.done)
		return <-t.ended
	}, nil
}

type follower struct {
	f     *os.File
	had   int64
	more  func() int64
	out   io.Writer
	at    int64
	done  chan struct{}
	ended chan error
}

func (t *follower) run() {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	defer t.f.Close()
	err := t.copy()
	for err == nil {
		select {
		case <-t.done:
			t.ended <- t.copy()
			return
		case <-ticker.C:
			err = t.copy()
		}
	}
	<-t.done
	t.ended <- err
}

func (t *follower) copy() error {
	n, err := io.Copy(t.out, io.NewSectionReader(t.f, t.at, t.had+t.more()-t.at))
	t.at += n
	return err
}
