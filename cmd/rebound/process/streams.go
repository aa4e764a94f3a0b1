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

// streams are the pipes of one attempt. They are our own, not those of package exec, whose Wait
// would wait for every process that holds one.
type streams struct {
	fail    func(error) // is called when a copy fails
	theirs  []*os.File  // ends for the command, closed once it runs
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
		cmd.Stderr = cmd.Stdout // with a pipe for each of them the order would be lost
		return nil
	}
	cmd.Stderr, err = s.connectOutput("stderr", r.Stderr, r.Watch)
	return err
}

// joined reports whether stdout and stderr are one to the command, because they are one file. On a
// terminal the output that is held parts from stderr, which a person wants to see at once.
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
			err = nil // the command has not read it all
		case err != nil:
			s.fail(fmt.Errorf("stdin: %w", err))
		}
		ours.Close()
	}()
	return nil
}

// connectOutput returns the file that the command is to write to.
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

// close ends everything. What the command has written still arrives, however slow its reader is. A
// process that has left the group and keeps its end open is not waited for. Once all is over, which
// a signal is the reason for, nor is a reader that is slower than grace.
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
