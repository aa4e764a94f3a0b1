package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// job is one command that is run until it works.
type job struct {
	policy *rebound.Policy
	judge  *judge
	runner process.Runner
	stderr io.Writer
	quiet  bool

	report   report
	reportTo io.WriteCloser // nil = no report

	last process.Result
}

// errTime is the cause when the time for all attempts is over.
var errTime = errors.New("the time for all attempts is over")

// run makes the attempts and returns the exit code.
func (j *job) run() int {
	runtime.LockOSThread() // a command dies with the thread that started it: let that be main's
	process.KeepPipes()
	process.Adopt()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer j.listen(cancel)()
	limits := j.policy.Clone()
	if total := limits.MaxElapsed; total > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, total, errTime)
		defer stop()
		limits.MaxElapsed = 0 // as a deadline, the time for all ends an attempt, too
	}
	limits.Observe = j.observe
	began := time.Now()
	err := rebound.Run(ctx, limits, j.attempt)
	code := j.exitCode(ctx, err)
	if err := j.runner.Release(); err != nil && code == 0 {
		j.say("rebound: stdout: %v", err)
		code = ownFailure
	}
	if reportErr := j.tell(err, code, time.Since(began)); reportErr != nil {
		fmt.Fprintln(j.stderr, "rebound: report:", reportErr)
		code = cmp.Or(code, ownFailure)
	}
	return code
}

// listen has signals stop the job, or reach the command. It returns what ends that.
func (j *job) listen(cancel context.CancelCauseFunc) func() {
	stops, others := make(chan os.Signal, 8), make(chan os.Signal, 8)
	signal.Notify(stops, process.Stops()...)
	if forwards := process.Forwards(); len(forwards) > 0 {
		signal.Notify(others, forwards...)
	}
	done := make(chan struct{})
	go func() {
		for told := false; ; {
			select {
			case sig := <-stops:
				if told {
					j.runner.Kill()
				}
				told = true
				s, _ := sig.(syscall.Signal)
				cancel(process.Stop{Signal: s})
			case sig := <-others:
				j.runner.Pass(sig)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(stops)
		signal.Stop(others)
		close(done)
	}
}

// attempt runs the command once. Marks on the error tell the policy what the flags say about it.
func (j *job) attempt(ctx context.Context) error {
	n := len(j.report.Attempts) + 1
	env := []string{
		"REBOUND_ATTEMPT=" + strconv.Itoa(n),
		"REBOUND_ATTEMPTS=" + strconv.Itoa(limit(j.policy)),
	}
	if n > 1 {
		env = append(env, "REBOUND_PREVIOUS_EXIT="+strconv.Itoa(j.last.Code))
	}
	j.judge.reset()
	j.last = j.runner.Run(ctx, env...)
	verdict, why := j.judge.decide(j.last)
	j.report.add(n, j.last, verdict, why)
	switch verdict {
	case works:
		return nil
	case again:
		j.runner.Clean()
		return rebound.Transient(errors.New(why))
	}
	j.runner.Clean()
	return rebound.Permanent(errors.New(why))
}

// limit is how many attempts there are at most, 0 for no limit.
func limit(p *rebound.Policy) int { return max(p.MaxAttempts(), 0) }

// observe tells of a failure before the wait.
func (j *job) observe(_ context.Context, e rebound.Event) {
	if e.Kind != rebound.Retrying {
		return
	}
	j.report.wait(e.Delay)
	of := ""
	if n := limit(j.policy); n > 0 {
		of = fmt.Sprintf(" of %d", n)
	}
	j.say("rebound: attempt %d%s: %v; again in %v", e.Attempt, of, e.Err, short(e.Delay))
}

func (j *job) say(format string, args ...any) {
	if !j.quiet {
		fmt.Fprintf(j.stderr, format+"\n", args...)
	}
}

// exitCode is that of the last attempt, unless a signal has ended the job or there was no attempt.
func (j *job) exitCode(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	j.say("%v", err)
	var stop process.Stop
	switch {
	case errors.As(context.Cause(ctx), &stop):
		return process.SignalBase + int(stop.Signal)
	case len(j.report.Attempts) == 0:
		return ownFailure
	case j.last.Cut != nil:
		return process.TimedOut
	}
	return cmp.Or(j.last.Code, 1)
}
