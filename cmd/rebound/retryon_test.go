package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// judgeRow is how flags classify an attempt.
type judgeRow struct {
	on, notOn, onOutput, notOnOutput string
	output                           string
	gone                             bool
	res                              process.Result
	want                             verdict
}

func TestJudge(t *testing.T) {
	code := func(n int) process.Result { return process.Result{Code: n} }
	late := process.Result{Code: 143, Cut: context.DeadlineExceeded}
	killed := process.Result{Code: 137, Signal: syscall.SIGKILL}
	missing := process.Result{Code: 127, Err: context.Canceled}
	busy := process.Result{Code: 126, Err: syscall.ETXTBSY}
	piped := process.Result{Code: 141, Signal: syscall.SIGPIPE}
	lost := process.Result{Code: 1, Lost: syscall.ENOSPC}
	for _, row := range []judgeRow{
		{res: code(0), want: succeeded},
		{res: code(1), want: transient},
		{res: code(126), want: permanent},
		{res: code(127), want: permanent},
		{res: missing, want: permanent},
		{res: killed, want: transient},
		{res: late, want: transient},
		{on: "127", res: code(127), want: transient},
		{on: "127", res: missing, want: transient},
		{on: "75", res: code(1), want: permanent},
		{on: "75", res: late, want: permanent},
		{on: "143", res: late, want: permanent},
		{on: "75,timeout", res: late, want: transient},
		{on: "100-110", res: code(110), want: transient},
		{on: "100-110", res: code(111), want: permanent},
		{on: "SIGKILL", res: killed, want: transient},
		{on: "kill", res: killed, want: transient},
		{on: "137", res: killed, want: transient},
		{notOn: "137", res: killed, want: permanent},
		{notOn: "timeout", res: late, want: permanent},
		{on: "1-255", notOn: "2", res: code(2), want: permanent},
		{onOutput: "later", output: "try later", res: code(0), want: transient},
		{onOutput: "later", output: "done", res: code(0), want: succeeded},
		{onOutput: "later", output: "no", res: code(1), want: permanent},
		{onOutput: "later", on: "1", output: "no", res: code(1), want: transient},
		{notOnOutput: "no such", onOutput: "user", output: "no such user", res: code(1), want: permanent},
		{notOnOutput: "no such", output: "reset", res: code(1), want: transient},
		{res: busy, want: transient},
		{on: "75", res: busy, want: transient},
		{notOn: "126", res: busy, want: permanent},
		{res: piped, want: transient},
		{res: piped, gone: true, want: permanent},
		{res: code(1), gone: true, want: permanent},
		{res: busy, gone: true, want: permanent},
		{on: "SIGPIPE", res: piped, gone: true, want: transient},
		{on: "SIGPIPE", res: code(1), gone: true, want: permanent},
		{res: code(0), gone: true, want: succeeded},
		{res: lost, want: permanent},
		{on: "1", res: lost, want: permanent},
		{onOutput: "later", output: "later", res: lost, want: permanent},
	} {
		row.check(t)
	}
}

func (row judgeRow) check(t *testing.T) {
	t.Helper()
	var j judge
	set(t, &j.on, row.on)
	set(t, &j.notOn, row.notOn)
	set(t, &j.onOutput, row.onOutput)
	set(t, &j.notOnOutput, row.notOnOutput)
	j.watch([]byte(row.output))
	if got, why := j.decide(row.res, row.gone); got != row.want {
		t.Errorf("%+v: got %v (%s), want %v", row, got, why, row.want)
	}
}

// set is what the flag does, if it is given.
func set(t *testing.T, flag interface{ Set(string) error }, text string) {
	t.Helper()
	if text == "" {
		return
	}
	if err := flag.Set(text); err != nil {
		t.Fatal(err)
	}
}

func TestEndsRefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{"", "0", "256", "5-", "-5", "7-3", "1,,2", "SIGNONE", "timeouts"} {
		var e ends
		err := e.Set(text)
		if err == nil || !strings.Contains(err.Error(), "want an exit code from 1 to 255") {
			t.Errorf("%q: got %v, want an error about the failures that are valid", text, err)
		}
	}
}

// The time spent on waiting for services is taken from the attempts, and the delay from the output
// is not lengthened.
func TestLimits(t *testing.T) {
	j := job{name: "make", judge: &judge{}, policy: &rebound.Policy{
		Name: "x", MaxElapsed: 10 * time.Second, AttemptTimeout: 5 * time.Second,
	}}
	for used, want := range map[time.Duration]string{
		0:                "make 10s 5s",
		3 * time.Second:  "make 7s 5s",
		6 * time.Second:  "make 4s 4s",
		20 * time.Second: "make 1ns 1ns",
	} {
		p := j.limits(used)
		got := fmt.Sprintf("%s %v %v", p.Name, p.MaxElapsed, p.AttemptTimeout)
		if err := p.Validate(); err != nil || got != want || p.Throttled != nil {
			t.Errorf("after %v: got %s, %v, %v, want %s", used, got, p.Throttled, err, want)
		}
	}
	set(t, &j.judge.delayFrom, "(1)")
	if got := j.limits(0).Throttled; got == nil || got.Delay(1, 0, 1) != 0 {
		t.Errorf("got %v, want only the delay from the output", got)
	}
	j.policy = &rebound.Policy{AttemptTimeout: time.Second}
	if p := j.limits(time.Hour); p.MaxElapsed != 0 || p.AttemptTimeout != time.Second {
		t.Errorf("got %v and %v, want the policy's", p.MaxElapsed, p.AttemptTimeout)
	}
}
