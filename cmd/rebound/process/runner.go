// Package process runs a command in attempts. Each attempt is a process group of its own. When an
// attempt fails or is cut short, all processes of its group are ended.
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

	// Stdout and Stderr receive the output. The command writes to an *os.File itself, unless Watch
	// is set, or Hold for Stdout. If both are the same file, the order of the output is kept.
	Stdout, Stderr io.Writer

	// Hold keeps the stdout of an attempt until Release.
	Hold bool

	// Watch is called with every line of output. A very long line comes in pieces. Two goroutines
	// may call Watch at the same time.
	Watch func(line []byte)

	// Stopped is called in a goroutine of its own when the command was stopped because it used the
	// terminal: with SIGTTIN if it read, with SIGTTOU if it wrote or changed settings.
	Stopped func(sig syscall.Signal)

	// KillAfter is the time from a signal until the processes that have not ended are killed.
	KillAfter time.Duration

	// Foreground leaves the command in the group of the caller, where it can use the terminal.
	// Signals then reach only the command, not the processes that it started.
	Foreground bool

	mu    sync.Mutex
	group *group // of the current or the last attempt
	held  *spool

	began    sync.Once
	kill     chan struct{} // closed: kill at once
	killOnce sync.Once
}

// Run makes one attempt, and returns when the command has ended. If it failed or was cut short, the
// other processes of its group have ended as well. The end of ctx cuts the attempt short. all is
// ctx or a parent of it, and its end means that there is no further attempt. In env, NAME=value
// sets a variable, and NAME alone unsets it.
func (r *Runner) Run(all, ctx context.Context, env ...string) Result {
	r.begin()
	began := time.Now()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	var lost loss
	s := &streams{fail: func(err error) {
		lost.note(err)
		if !errors.Is(err, syscall.EPIPE) { // the command's own next write fails with this error
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
		res.Cut = s.drain(ctx) // processes in the background may still write
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

// environment returns the environment of this process with changes, in the form of Run's env.
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

// loss holds the first error of copying input or output.
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

// met returns the error. It returns nil if SIGPIPE killed the command, because that would happen
// without a copy, too. It also returns nil after a [Stop], when lost output does not matter.
func (l *loss) met(res Result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	piped := res.Code == SignalBase+int(sigPipe) && errors.Is(l.err, syscall.EPIPE)
	if piped || errors.As(res.Cut, new(Stop)) {
		return nil
	}
	return l.err
}

// start starts the command. A signal that arrives meanwhile is passed on when the command runs.
func (r *Runner) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		r.group = newGroup(cmd.Process, r.Foreground)
	}
	return err
}

// begin prepares an attempt, and forgets the previous one.
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

// wait waits for the command itself. When ctx ends, wait stops the command.
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

// finish ends the remaining processes of the group. They get SIGTERM even after another signal,
// because shells make background processes ignore SIGINT.
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
				return // SIGKILL does not end a process that hangs in the kernel
			}
		}
		g.signal(syscall.SIGKILL)
		killed, late = true, time.After(time.Second)
	}
}

// Clean ends the processes that the last attempt left behind, as Run does after a failure. Until
// the next attempt, signals are not passed on, because another group may have the same id.
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

// Kill sets KillAfter to 0 for the current attempt and all later ones.
func (r *Runner) Kill() {
	kill := r.killing()
	r.killOnce.Do(func() { close(kill) })
}

// forward passes a signal to the current attempt, if there is one.
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

// Release writes the held stdout of the last attempt. If ctx ends first, it returns the context's
// cause.
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

// drop discards the held output.
func (r *Runner) drop() {
	if r.held != nil {
		r.held.Close()
		r.held = nil
	}
}
