package process

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// streams are the pipes of one attempt. They are our own, not those of package exec, whose Wait
// would wait for every process that holds one.
type streams struct {
	theirs []*os.File // ends for the command, closed once it runs
	ours   []*os.File
	feed   *reader
	copies sync.WaitGroup // of output
}

// connect gives a command its input and output.
func (r *Runner) connect(cmd *exec.Cmd) (*streams, error) {
	s := &streams{}
	if r.Stdin != nil {
		if err := s.input(cmd, r.Stdin); err != nil {
			return s, err
		}
	}
	stdout := r.Stdout
	if r.held != nil {
		stdout = r.held
	}
	var err, err2 error
	cmd.Stdout, err = s.output(stdout, r.Watch)
	cmd.Stderr, err2 = s.output(r.Stderr, r.Watch)
	if err == nil {
		err = err2
	}
	return s, err
}

func (s *streams) input(cmd *exec.Cmd, in *Input) error {
	if in.file != nil {
		cmd.Stdin = in.file
		return in.rewind()
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdin = theirs
	s.theirs, s.ours = append(s.theirs, theirs), append(s.ours, ours)
	s.feed = in.reader()
	go func() {
		_, _ = io.Copy(ours, s.feed) // it ends early when the command does not read it all
		ours.Close()
	}()
	return nil
}

// output returns the file that the command is to write to.
func (s *streams) output(to io.Writer, watch func([]byte)) (*os.File, error) {
	if f, ok := to.(*os.File); ok && watch == nil {
		return f, nil
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.theirs, s.ours = append(s.theirs, theirs), append(s.ours, ours)
	lines := &lines{watch: watch}
	if watch != nil {
		to = io.MultiWriter(to, lines)
	}
	s.copies.Go(func() {
		_, err := io.Copy(to, ours)
		lines.flush()
		if err != nil {
			ours.Close() // the output has no reader: the command gets SIGPIPE
		}
	})
	return theirs, nil
}

// started closes the command's ends on our side.
func (s *streams) started() {
	for _, f := range s.theirs {
		f.Close()
	}
	s.theirs = nil
}

// drain waits for the end of all output, or of ctx, whose cause it then returns.
func (s *streams) drain(ctx context.Context) error {
	select {
	case <-s.drained():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *streams) drained() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		s.copies.Wait()
		close(done)
	}()
	return done
}

// close ends everything. Output that is on its way still arrives; a process that has left the group
// and keeps its end open is not waited for.
func (s *streams) close() {
	s.started()
	if s.feed != nil {
		s.feed.close()
	}
	select {
	case <-s.drained():
	case <-time.After(time.Second):
	}
	for _, f := range s.ours {
		f.Close()
	}
	s.copies.Wait()
}

// longestLine is how much of a line is watched in one piece.
const longestLine = 64 << 10

// lines cuts what is written into lines.
type lines struct {
	watch func([]byte)
	part  []byte
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
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
	return n, nil
}

func (l *lines) flush() {
	if len(l.part) > 0 {
		l.watch(l.part)
		l.part = l.part[:0]
	}
}
