package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
)

// streams are the pipes of one attempt. They are not those of package exec, because its Wait waits
// for every process that has one of them open.
type streams struct {
	fail    func(error) // is called when a copy fails
	theirs  []*os.File  // the command's ends, closed when it has started
	feed    *reader
	input   *os.File // our end of the pipe that feed is written to
	outputs []*output
	copies  sync.WaitGroup // of output
}

// connect gives a command its input and output.
func (r *Runner) connect(cmd *exec.Cmd, s *streams) error {
	if r.Stdin != nil {
		if err := s.connectInput(cmd, r.Stdin); err != nil {
			return err
		}
	}
	stdout := r.Stdout
	if r.held != nil {
		stdout = r.held
	}
	var err error
	if cmd.Stdout, err = s.connectOutput("stdout", stdout, r.Watch); err != nil {
		return err
	}
	if r.joined() {
		cmd.Stderr = cmd.Stdout // two pipes would lose the order of the output
		return nil
	}
	cmd.Stderr, err = s.connectOutput("stderr", r.Stderr, r.Watch)
	return err
}

// joined reports whether the command gets one pipe or file for stdout and stderr, because they are
// the same file. Stdout that is held is not joined with a terminal, where stderr is shown at once.
func (r *Runner) joined() bool {
	a, ok := r.Stdout.(*os.File)
	b, ok2 := r.Stderr.(*os.File)
	if !ok || !ok2 || r.Hold && term.IsTerminal(int(b.Fd())) {
		return false
	}
	stat, err := a.Stat()
	stat2, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(stat, stat2)
}

func (s *streams) connectInput(cmd *exec.Cmd, in *Input) error {
	if in.file != nil {
		cmd.Stdin = in.file
		if err := in.rewind(); err != nil {
			s.fail(fmt.Errorf("stdin: %w", err))
		}
		return nil
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdin = theirs
	s.theirs, s.input = append(s.theirs, theirs), ours
	s.feed = in.reader()
	go func() {
		_, err := io.Copy(ours, s.feed)
		switch {
		case errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrClosed):
			err = nil // the command did not read all of it
		case err != nil:
			s.fail(fmt.Errorf("stdin: %w", err))
		}
		ours.Close()
	}()
	return nil
}

// connectOutput returns the file that the command writes to.
func (s *streams) connectOutput(name string, to io.Writer, watch func([]byte)) (*os.File, error) {
	if f, ok := to.(*os.File); ok && watch == nil {
		return f, nil
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{from: ours, to: to, lines: &lines{watch: watch}}
	s.theirs, s.outputs = append(s.theirs, theirs), append(s.outputs, o)
	s.copies.Go(func() {
		if err := o.copy(); err != nil {
			s.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
	return theirs, nil
}

// started closes our copies of the command's ends.
func (s *streams) started() {
	for _, f := range s.theirs {
		f.Close()
	}
	s.theirs = nil
}

// drain waits for the end of all output. If ctx ends first, it returns the context's cause.
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

// close ends the streams. It waits until the output of the command is written, even to a slow
// reader. It does not wait for a process that left the group and keeps its end open. After the end
// of all, which a signal causes, it waits for a slow reader only for grace.
func (s *streams) close(all context.Context) {
	s.started()
	if s.feed != nil {
		s.feed.close()
		s.input.Close()
	}
	for _, o := range s.outputs {
		o.end()
	}
	drained := s.drained()
	select {
	case <-drained:
	case <-all.Done():
		select {
		case <-drained:
		case <-time.After(grace):
		}
	}
}
