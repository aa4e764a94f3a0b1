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
	"strings"
	"syscall"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// job is one command that is run until it succeeds.
type job struct {
	name   string // of the command, for messages
	policy *rebound.Policy
	judge  *judge
	runner process.Runner
	stderr io.Writer
	quiet  bool

	services services // that must be ready before the first attempt

	report   report
	reportTo io.WriteCloser // nil = no report

	began time.Time
	last  process.Result
}

// run makes the attempts. It returns the exit code, and the signal that ended the run or 0.
func (j *job) run() (int, syscall.Signal) {
	runtime.LockOSThread() // Linux kills a command when the thread that started it ends
	process.FailWrites()
	process.Adopt()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer j.listen(cancel)()
	j.began = time.Now()
	err := j.waitForServices(ctx)
	if err == nil {
		err = j.attempts(ctx)
	}
	j.printEnd(err)
	code := j.exitCode(err)
	if lost := j.release(ctx); lost != nil {
		err, code, j.report.Succeeded = lost, ownFailure, false
	}
	var stop process.Stop
	if err != nil && errors.As(context.Cause(ctx), &stop) {
		code = process.SignalBase + int(stop.Signal)
	}
	if reportErr := j.writeReport(err, code, time.Since(j.began)); reportErr != nil {
		fmt.Fprintln(j.stderr, "rebound: report:", reportErr)
		code = cmp.Or(code, ownFailure)
	}
	return code, stop.Signal
}

// waitForServices waits at most until MaxElapsed ends, or for waitLimit without one.
func (j *job) waitForServices(ctx context.Context) error {
	limit := waitLimit
	if most := j.policy.MaxElapsed; most > 0 {
		limit = most
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return j.services.wait(ctx, j.printf)
}

// attempts runs the command until it succeeds.
func (j *job) attempts(ctx context.Context) error {
	return rebound.Run(ctx, j.limits(time.Since(j.began)), func(attempt context.Context) error {
		return j.attempt(ctx, attempt)
	})
}

// limits returns the policy for the attempts, after a part of MaxElapsed was used.
func (j *job) limits(used time.Duration) *rebound.Policy {
	p := j.policy.Clone()
	p.Name = j.name
	p.Observe = j.observe
	if p.MaxElapsed > 0 {
		p.MaxElapsed = max(p.MaxElapsed-used, 1)
		p.AttemptTimeout = min(p.AttemptTimeout, p.MaxElapsed)
	}
	if len(j.judge.delayFrom.all) > 0 {
		p.Throttled = backoff.Constant(0) // the output alone sets the delay
	}
	return p
}

// listen makes signals stop the job or reach the command. It returns a function that ends this.
func (j *job) listen(cancel context.CancelCauseFunc) func() {
	stops, others := make(chan os.Signal, 8), make(chan os.Signal, 8)
	signal.Notify(stops, process.Stops()...)
	if forwards := process.Forwards(); len(forwards) > 0 {
		signal.Notify(others, forwards...)
	}
	done := make(chan struct{})
	go func() {
		for stopping := false; ; {
			select {
			case sig := <-stops:
				if stopping {
					j.runner.Kill()
				}
				stopping = true
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

// attempt runs the command once. A mark on its error passes the verdict to the policy.
func (j *job) attempt(all, ctx context.Context) error {
	n := len(j.report.Attempts) + 1
	previous := "REBOUND_PREVIOUS_EXIT" // unset: an outer rebound may have set it
	if n > 1 {
		previous += "=" + strconv.Itoa(j.last.Code)
	}
	j.judge.reset()
	j.last = j.runner.Run(all, ctx, previous, "REBOUND_ATTEMPT="+strconv.Itoa(n),
		"REBOUND_ATTEMPTS="+strconv.Itoa(bound(j.policy)))
	verdict, why := j.judge.decide(j.last, j.stdoutGone())
	if verdict == permanent && j.timeIsOver() {
		verdict = transient // so that the reason for stopping is the time limit
	}
	if hint := startHint(j.runner.Args, j.last); hint != "" {
		why += "; " + hint
	}
	j.report.add(n, j.last, verdict, why)
	switch verdict {
	case succeeded:
		return nil
	case transient:
		j.runner.Clean()
		return j.retryable(why)
	}
	j.runner.Clean()
	return rebound.Permanent(errors.New(why))
}

// retryable returns the error of an attempt that may be retried, with the delay in its output.
func (j *job) retryable(why string) error {
	delay, err := j.judge.delayFrom.delay(time.Now())
	if err != nil {
		why += "; " + err.Error()
	}
	if delay > 0 && !j.timeIsOver() {
		return rebound.RetryAfter(errors.New(why), delay)
	}
	return rebound.Transient(errors.New(why))
}

// timeIsOver reports whether the time limit for all attempts cut the last one short.
func (j *job) timeIsOver() bool {
	most := j.policy.MaxElapsed
	return most > 0 && errors.Is(j.last.Cut, context.DeadlineExceeded) && time.Since(j.began) >= most
}

func (j *job) stdoutGone() bool {
	f, ok := j.runner.Stdout.(*os.File)
	return ok && process.Gone(f)
}

// bound returns the maximum number of attempts, or 0 for no limit.
func bound(p *rebound.Policy) int { return max(p.MaxAttempts(), 0) }

// observe prints a failure before the delay.
func (j *job) observe(_ context.Context, e rebound.Event) {
	if e.Kind != rebound.Retrying {
		return
	}
	j.report.wait(e.Delay)
	found := ""
	if e.Fault.After > 0 {
		found = fmt.Sprintf(" (--delay-from found %v)", short(e.Fault.After))
	}
	j.printf("%s: %v; retry in %v%s", j.current(), e.Err, short(e.Delay), found)
}

// current names the last attempt in messages.
func (j *job) current() string {
	text := fmt.Sprintf("%s: attempt %d", j.name, len(j.report.Attempts))
	if n := bound(j.policy); n > 0 {
		text += fmt.Sprintf(" of %d", n)
	}
	return text
}

func (j *job) printf(format string, args ...any) {
	if !j.quiet {
		fmt.Fprintln(j.stderr, "rebound:", escaped(fmt.Sprintf(format, args...)))
	}
}

// stopped reports a command that was stopped because it used the terminal.
func (j *job) stopped(sig syscall.Signal) {
	j.printf("%s: stopped by %s: it needs --foreground to use the terminal",
		j.name, process.Name(sig))
}

// printEnd prints how the job ended, unless its first attempt succeeded.
func (j *job) printEnd(err error) {
	switch {
	case err == nil && len(j.report.Attempts) > 1:
		j.printf("%s succeeded", j.current())
	case errors.As(j.last.Cut, new(process.Stop)):
		j.printf("%s: %v", j.current(), j.last.Cut)
	case errors.Is(err, rebound.WaitTooLong):
		j.printf("%s; --max-retry-after allows longer delays",
			strings.TrimPrefix(err.Error(), "rebound: "))
	case errors.As(err, new(*rebound.Error)):
		j.printf("%s", strings.TrimPrefix(err.Error(), "rebound: "))
	case err != nil:
		j.printf("%s: %v", j.name, err)
	}
}

// exitCode returns the exit code of the last attempt, or the one for the reason why there is none.
func (j *job) exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*notReady)):
		return process.TimedOut
	case len(j.report.Attempts) == 0, j.last.Lost != nil:
		return ownFailure
	case j.last.Cut != nil:
		return process.TimedOut
	}
	return cmp.Or(j.last.Code, 1)
}

// release writes the held stdout. An incomplete copy is not written.
func (j *job) release(ctx context.Context) error {
	if j.last.Lost != nil {
		return nil
	}
	err := j.runner.Release(ctx)
	if err != nil {
		j.printf("%s: stdout: %v", j.name, err)
	}
	return err
}
