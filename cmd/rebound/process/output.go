package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// grace is how long output that is on its way may take when the command has ended.
const grace = time.Second

// output is a pipe that the command writes to, and where that goes.
type output struct {
	from  *os.File
	to    io.Writer
	lines *lines
	ended atomic.Bool // the command has
}

// copy returns why not all could be written, or nil. The command then gets SIGPIPE or EPIPE.
func (o *output) copy() error {
	defer o.from.Close()
	defer o.lines.flush()
	buf := make([]byte, 64<<10)
	left := 1 << 20 // as much as a pipe can hold: all that the command has written
	for left > 0 {
		ended := o.ended.Load()
		if ended {
			o.expire()
		}
		n, err := o.from.Read(buf)
		if ended {
			left -= n
		}
		if n > 0 {
			if _, err := o.to.Write(buf[:n]); err != nil {
				return err
			}
			o.lines.write(buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed),
			errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			return err
		}
	}
	return nil
}

// end has copy end when nothing has come for a while.
func (o *output) end() {
	o.ended.Store(true)
	o.expire()
}

// expire bounds how long a read may wait from now on.
func (o *output) expire() {
	if o.from.SetReadDeadline(time.Now().Add(grace)) != nil {
		time.AfterFunc(grace, func() { o.from.Close() }) // this system has no such deadlines
	}
}

// longestLine is how much of a line is watched in one piece.
const longestLine = 64 << 10

// lines cuts what is written into lines. Without a function to watch them it does nothing.
type lines struct {
	watch func([]byte)
	part  []byte
}

func (l *lines) write(p []byte) {
	if l.watch == nil {
		return
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.part = append(l.part, p...)
			if len(l.part) >= longestLine {
				l.flush()
			}
			break
		}
		if len(l.part) > 0 {
			l.part = append(l.part, p[:i]...)
			l.flush()
		} else {
			l.watch(p[:i])
		}
		p = p[i+1:]
	}
}

func (l *lines) flush() {
	if len(l.part) > 0 {
		l.watch(l.part)
		l.part = l.part[:0]
	}
}
