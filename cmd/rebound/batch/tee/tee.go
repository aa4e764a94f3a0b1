// Package tee copies a growing file.
package tee

import (
	"io"
	"os"
	"time"
)

// interval is the time between two reads of the file.
const interval = 50 * time.Millisecond

// Follow copies a file to out until stop is called. It copies the current content, and as many of
// the added bytes as more returns. stop copies what is left of these, and returns the first error.
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
	had   int64        // bytes at the beginning
	more  func() int64 // the further bytes that may be copied
	out   io.Writer
	at    int64 // bytes that were copied
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
