package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// grace is how long to wait for more output after the end of the command.
const grace = time.Second

// output is a pipe that the command writes to, and its destination.
type output struct {
	from  *os.File
	to    io.Writer
	lines *lines
	ended atomic.Bool // the command has ended
}

// copy copies the pipe until its end. After an error it closes the pipe, so the command's next
// write fails with SIGPIPE or EPIPE.
func (o *output) copy() error {
	defer o.from.Close()
	defer o.lines.flush()
	buf := make([]byte, 64<<10)
	left := 1 << 20 // a pipe holds no more, so nothing of the command's is lost
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

// end makes copy return when no output has come for grace.
func (o *output) end() {
	o.ended.Store(true)
	o.expire()
}

// expire makes reads fail that take longer than grace from now on.
func (o *output) expire() {
	if o.from.SetReadDeadline(time.Now().Add(grace)) != nil {
		time.AfterFunc(grace, func() { o.from.Close() }) // this system's pipes have no deadlines
	}
}

// longestLine is the length from which a line comes in pieces.
const longestLine = 64 << 10

// lines splits output into lines and calls watch with each. If watch is nil, it does nothing.
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
