package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rebound-go/rebound/cmd/rebound/process"
	"github.com/rebound-go/rebound/policyfile"
)

const runHelp = `Run a command until it succeeds.

The command runs without a shell, in its own process group. When an attempt fails or times out,
rebound ends the whole group. SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGABRT are passed to the command
and end the run; rebound then ends by the same signal. A second such signal kills the command at
once. Other signals, such as SIGUSR1, SIGWINCH, Ctrl-Z and real-time signals, are only passed on.

The flags --on, --not-on, --on-output and --not-on-output decide which failures are retried. The
field retry of the policy has no effect. --on and --not-on take exit codes, ranges, signals that
killed the command, and timeout: --on 75,100-110,SIGKILL,timeout. With --on or --on-output, only
failures that match one of them are retried. Without them, every failure except 126 and 127 is
retried. If output matches --on-output or --not-on-output, even exit code 0 is a failure. If the
system is short of processes, memory or files, the start of the command is retried. If nothing reads
stdout any more, only --on and --on-output cause a retry.

With --delay-from, the delay is read from a line of output. It is the first group of the expression
that matched. A number is in seconds, or in the unit in the group's name: (?P<ms>[0-9]+). Numbers
with units (90s, 1m30s, 2 minutes) and dates are accepted as well. Jitter lengthens the delay by up
to a quarter. A delay above --max-retry-after ends the run. Without that flag, the policy's maximum
applies, which is 2m by default.

With --wait-for, the command starts when a service accepts a connection, or answers a GET with 2xx.
rebound waits for the service until --timeout ends, or for a minute without that flag.

The command reads standard input directly. What it does not read is left for the next program. Every
attempt reads a file from the beginning. From a pipe, a retry reads what is left. With --stdin
replay, rebound copies the pipe, and every attempt reads it from the beginning. rebound may then
take up to 160 KB more from the pipe than the command reads. By default, a terminal is read only
with --foreground.

The environment of the command has REBOUND_ATTEMPT (1, 2, 3, …), REBOUND_ATTEMPTS (the maximum, 0 =
no limit) and, from the second attempt on, REBOUND_PREVIOUS_EXIT.

Messages go to stderr. If the first attempt succeeds, there are none about it.

The exit code is that of the last attempt, or 1 if its exit code was 0 but its output made it fail.
Other codes:
  124    the last attempt or the whole run timed out, or a service was not ready
  125    rebound itself failed, for example because of an invalid flag or a full disk
  126    the command cannot be started
  127    there is no such command, or its name is empty
  128+n  the last attempt was killed by signal n`

// runFlags are the flags of `rebound run`.
type runFlags struct {
	policy policyFlags
	judge  judge

	output, stdin string
	killAfter     policyfile.Duration
	foreground    bool
	quiet         bool
	report        string
	reportTo      string
	maxRetryAfter policyfile.Duration
	waitFor       services
}

func newRun() *cobra.Command {
	flags := runFlags{killAfter: policyfile.Duration(10 * time.Second)}
	c := &cobra.Command{
		Use:   "run [flags] -- command [argument]...",
		Short: "Run a command until it succeeds",
		Long:  runHelp,
		Example: "  rebound run -- curl -fsS https://example.com/data.json\n" +
			"  rebound run --wait-for tcp://localhost:5432 -t 30 -- psql -f schema.sql\n" +
			"  rebound run -- bash -c 'make && make install'\n" +
			"  rebound run -n 5 -d 2s --attempt-timeout 30s --output hold -- make fetch > out\n" +
			"  rebound run --on 75 --on-output 'connection reset' -- ./sync",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return ownError{errors.New("there is no command: want rebound run [flags] -- " +
					"command and arguments")}
			}
			return commandName(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			j, err := flags.job(c, args)
			if err != nil {
				return ownError{err}
			}
			code, sig := j.run()
			if sig != 0 {
				process.Die(sig)
			}
			if code != 0 {
				return exited(code)
			}
			return nil
		},
	}
	flags.register(c)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return ownError{flagError(c, err)} })
	return c
}

func (f *runFlags) register(c *cobra.Command) {
	f.policy.register(c)
	s := c.Flags()
	s.SetInterspersed(false)
	s.Var(&f.judge.on, "on", "retry these: exit codes, signals, timeout")
	s.Var(&f.judge.notOn, "not-on", "do not retry these: exit codes, signals, timeout")
	s.Var(&f.judge.onOutput, "on-output", "retry if a line of output matches this expression")
	s.Var(&f.judge.notOnOutput, "not-on-output", "do not retry if one matches this expression")
	s.Var(&f.judge.delayFrom, "delay-from",
		"read the delay from output: the first group of this expression")
	s.Var(&duration{to: &f.maxRetryAfter}, "max-retry-after",
		"longest delay of --delay-from; a longer one ends the run")
	s.Var(&f.waitFor, "wait-for", "wait until tcp://host:port or http://host/path answers")
	s.StringVar(&f.output, "output", "stream",
		"stdout: stream, or hold for only that of the last attempt")
	s.StringVar(&f.stdin, "stdin", "auto", "auto, replay (copy a pipe for retries), inherit or null")
	s.Var(&duration{to: &f.killAfter, text: "10s", zero: true}, "kill-after",
		"time from a signal until the command is killed")
	s.BoolVar(&f.foreground, "foreground", false,
		"let the command use the terminal, without its own process group")
	s.BoolVarP(&f.quiet, "quiet", "q", false, "print no messages")
	s.StringVar(&f.report, "report", "", `print a report to stderr at the end: json`)
	s.StringVar(&f.reportTo, "report-to", "", "file for the report")
	complete(c, "output", []string{"stream", "hold"})
	complete(c, "stdin", []string{"auto", "replay", "inherit", "null"})
	complete(c, "report", []string{"json"})
}

// job returns the job that the flags and arguments describe, or an error about them.
func (f *runFlags) job(c *cobra.Command, args []string) (*job, error) {
	chosen, err := f.policy.choose()
	if err != nil {
		return nil, err
	}
	p, err := chosen.build()
	if err != nil {
		return nil, err
	}
	if f.maxRetryAfter > 0 {
		p.MaxRetryAfter = time.Duration(f.maxRetryAfter)
	}
	stdin, err := f.input(c.InOrStdin())
	switch {
	case err != nil:
		return nil, err
	case f.output != "stream" && f.output != "hold":
		return nil, fmt.Errorf("--output is %q: want stream or hold", f.output)
	case f.report != "" && f.report != "json":
		return nil, fmt.Errorf("--report is %q: want json", f.report)
	}
	stdout := c.OutOrStdout()
	if o, ok := stdout.(*checkedOutput); ok {
		stdout = o.Writer // the command writes to the file itself
	}
	j := &job{
		name: shown(args[0]), policy: p, judge: &f.judge,
		stderr: c.ErrOrStderr(), quiet: f.quiet, services: f.waitFor,
		report: report{Command: args, Policy: p.Name, Attempts: []attemptReport{}},
		runner: process.Runner{
			Args: args, Stdin: stdin, Stdout: stdout, Stderr: c.ErrOrStderr(),
			Hold: f.output == "hold", KillAfter: time.Duration(f.killAfter), Foreground: f.foreground,
		},
	}
	j.runner.Stopped = j.stopped
	if f.judge.reads() {
		j.runner.Watch = f.judge.watch
	}
	if f.report != "" || f.reportTo != "" {
		j.reportTo, err = reportWriter(f.reportTo, c.ErrOrStderr())
	}
	return j, err
}

// input returns the input of the attempts. A command in its own process group would be stopped when
// it reads the terminal. So --stdin auto replaces the terminal by an empty input.
func (f *runFlags) input(stdin io.Reader) (*process.Input, error) {
	file, isFile := stdin.(*os.File)
	terminal := isFile && term.IsTerminal(int(file.Fd()))
	switch {
	case f.stdin == "null", f.stdin == "auto" && terminal && !f.foreground:
		return nil, nil
	case f.stdin == "auto" && isFile:
		return process.Share(file), nil
	case f.stdin == "auto", f.stdin == "replay":
		return process.Replay(stdin), nil
	case f.stdin == "inherit" && isFile:
		return process.Inherit(file), nil
	}
	return nil, fmt.Errorf("--stdin is %q: want auto, replay, inherit or null", f.stdin)
}
