// Package process runs a command again and again, each time as a group of processes of its own, of
// which nothing is left when an attempt has failed or was cut short.
package process

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Runner runs one command, one attempt at a time. Its fields must not be changed once it has run.
type Runner struct {
	// Args are the command and its arguments.
	Args []string

	// Stdin is what attempts read. Nil = nothing.
	Stdin *Input

	// Stdout and Stderr take the output. An *os.File is handed to the command itself, unless Hold
	// or Watch is set. Where both are one file, they stay one, so that the order is kept.
	Stdout, Stderr io.Writer

	// Hold keeps what an attempt writes to stdout back until Release.
	Hold bool

	// Watch is called with every line of output, by two goroutines, in pieces if it is very long.
	Watch func(line []byte)

	// Stopped is called by another goroutine when the command was stopped for its use of the
	// terminal: by SIGTTIN when it reads, by SIGTTOU when it changes or writes.
	Stopped func(sig syscall.Signal)

	// KillAfter is how long processes have to end after a signal. Then they are killed.
	KillAfter time.Duration

	// Foreground leaves the command in the group of the caller, where it can use the terminal.
	// Signals then reach the command alone, and not what it started.
	Foreground bool

	mu    sync.Mutex
	group *group // of the attempt under way, or the last one
	held  *spool

	began    sync.Once
	kill     chan struct{} // closed: kill at once
	killOnce sync.Once
}

// Run makes one attempt, and returns when it has ended and, unless it exited with 0, all the
// processes of its group have. When ctx ends, so does the attempt. The end of all, which is ctx or
// a parent of it, ends all attempts. In env NAME=value sets a variable, and NAME alone unsets it.
func (r *Runner) Run(all, ctx context.Context, env ...string) Result {
	r.begin()
	began := time.Now()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	var lost loss
	s := &streams{fail: func(err error) {
		lost.note(err)
		if !errors.Is(err, syscall.EPIPE) { // which the command meets as well, at its next write
			cut(err)
		}
	}}
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Env = environment(env)
	own(cmd, !r.Foreground)
	err := r.connect(cmd, s)
	if err == nil {
		err = r.start(cmd)
	}
	s.started()
	if err != nil {
		s.close(all)
		return Result{Code: startCode(err), Err: err, Took: time.Since(began)}
	}
	g := r.current()
	res := r.wait(ctx, g)
	if res.Cut == nil && res.Code == 0 {
		res.Cut = s.drain(ctx) // the output of what the command left behind is part of it
	}
	if res.Cut != nil || res.Code != 0 {
		r.finish(g, signalOf(res.Cut))
	}
	s.close(all)
	if res.Cut != nil && res.Code == 0 {
		res.Code = TimedOut
	}
	res.Lost = lost.met(res)
	res.Took = time.Since(began)
	return res
}

// environment is that of the caller with changes, as for Run.
func environment(changes []string) []string {
	env := os.Environ()
	for _, change := range changes {
		name, _, set := strings.Cut(change, "=")
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if set {
			env = append(env, change)
		}
	}
	return env
}

// loss is the first copy that failed.
type loss struct {
	mu  sync.Mutex
	err error
}

func (l *loss) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

// met returns the error, unless the command was killed by SIGPIPE: it would have met that without
// copies, too. A command that was stopped by a signal to the caller has lost nothing.
func (l *loss) met(res Result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	piped := res.Code == SignalBase+int(sigPipe) && errors.Is(l.err, syscall.EPIPE)
	if piped || errors.As(res.Cut, new(Stop)) {
		return nil
	}
	return l.err
}

// start starts the command. A signal that comes meanwhile is delivered once it runs.
func (r *Runner) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		r.group = newGroup(cmd.Process, r.Foreground)
	}
	return err
}

// begin makes what an attempt needs, and forgets the one before.
func (r *Runner) begin() {
	r.began.Do(r.reap)
	r.killing()
	r.mu.Lock()
	r.group = nil
	r.mu.Unlock()
	r.drop()
	if r.Hold {
		r.held = &spool{}
	}
}

// killing returns the channel that Kill closes.
func (r *Runner) killing() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill == nil {
		r.kill = make(chan struct{})
	}
	return r.kill
}

// wait waits for the command itself, and has it stopped when ctx ends.
func (r *Runner) wait(ctx context.Context, g *group) (res Result) {
	select {
	case <-g.ended:
	case <-ctx.Done():
		res.Cut = context.Cause(ctx)
		g.signal(signalOf(res.Cut))
		select {
		case <-g.ended:
		case <-r.kill:
			g.signal(syscall.SIGKILL)
			<-g.ended
		case <-time.After(r.KillAfter):
			g.signal(syscall.SIGKILL)
			<-g.ended
		}
	}
	res.Code, res.Signal = g.exit()
	return res
}

// finish ends what is left of the group. SIGTERM goes to those, too, who have got another signal:
// shells have what they start in the background ignore SIGINT.
func (r *Runner) finish(g *group, sent syscall.Signal) {
	r.collect()
	if !g.alive() {
		return
	}
	if sent != syscall.SIGTERM {
		g.signal(syscall.SIGTERM)
	}
	late := time.After(r.KillAfter)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for killed := false; g.alive(); {
		kill := r.kill
		if killed {
			kill = nil
		}
		select {
		case <-tick.C:
			continue
		case <-kill:
		case <-late:
			if killed {
				return // not even SIGKILL ends it: it hangs in the kernel
			}
		}
		g.signal(syscall.SIGKILL)
		killed, late = true, time.After(time.Second)
	}
}

// Clean ends what the last attempt has left behind, as Run does after an exit code other than 0.
// Signals that come until the next attempt then reach no process: the id of the group may be
// another's.
func (r *Runner) Clean() {
	g := r.current()
	if g == nil {
		return
	}
	r.finish(g, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.group = nil
}

// Kill has the attempt under way, and all later ones that must be stopped, killed at once.
func (r *Runner) Kill() {
	kill := r.killing()
	r.killOnce.Do(func() { close(kill) })
}

// forward hands a signal on to the attempt under way, if there is one.
func (r *Runner) forward(sig syscall.Signal) {
	if g := r.current(); g != nil {
		g.signal(sig)
	}
}

func (r *Runner) current() *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.group
}

// Release writes what the last attempt wrote to stdout, if it was held. It returns when that is
// written, or when ctx ends, with its cause.
func (r *Runner) Release(ctx context.Context) error {
	if r.held == nil {
		return nil
	}
	defer r.drop()
	from, written := r.held.reader(), make(chan error, 1)
	go func() {
		_, err := io.Copy(r.Stdout, from)
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drop forgets what was held.
func (r *Runner) drop() {
	if r.held != nil {
		r.held.Close()
		r.held = nil
	}
}
