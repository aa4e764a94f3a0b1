package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// verdict is what an attempt leads to.
type verdict int

const (
	succeeded verdict = iota
	transient         // a failure that is retried
	permanent         // a failure that is not retried
)

// judge decides whether an attempt succeeded, and whether a failed one is retried.
type judge struct {
	on, notOn             ends
	onOutput, notOnOutput pattern
	delayFrom             delayPattern
}

// reads reports whether the output matters.
func (j *judge) reads() bool {
	return j.onOutput.re != nil || j.notOnOutput.re != nil || len(j.delayFrom.all) > 0
}

// watch is called with every line of output.
func (j *judge) watch(line []byte) {
	j.onOutput.look(line)
	j.notOnOutput.look(line)
	j.delayFrom.look(line)
}

// reset forgets the output of the previous attempt.
func (j *judge) reset() {
	j.onOutput.seen.Store(nil)
	j.notOnOutput.seen.Store(nil)
	j.delayFrom.found.Store(nil)
}

// decide returns the verdict on an attempt, and a text about its end. If stdoutGone, only --on and
// --on-output cause a retry, because nothing would read its output.
func (j *judge) decide(res process.Result, stdoutGone bool) (verdict, string) {
	ended := res.String()
	if res.Lost != nil {
		return permanent, ended
	}
	if line := j.notOnOutput.seen.Load(); line != nil {
		return permanent, fmt.Sprintf("%s, output %q", ended, *line)
	}
	if line := j.onOutput.seen.Load(); line != nil {
		return transient, fmt.Sprintf("%s, output %q", ended, *line)
	}
	if res.Code == 0 {
		return succeeded, ended
	}
	selective := j.on.text != "" || j.onOutput.re != nil
	lasting := res.Err != nil || res.Cut == nil && res.Signal == 0 &&
		(res.Code == process.CannotRun || res.Code == process.NotFound)
	switch {
	case j.notOn.has(res):
		return permanent, ended
	case j.on.has(res):
		return transient, ended
	case stdoutGone:
		return permanent, ended + ", and stdout is closed"
	case res.Busy():
		return transient, ended
	case selective, lasting:
		return permanent, ended
	}
	return transient, ended
}

// ends is a list of failures: exit codes, signals, a timeout.
type ends struct {
	text    string
	spans   [][2]int // of exit codes; a signal n is 128 + n
	timeout bool
}

// Set adds a list such as 75,100-110,SIGKILL,timeout.
func (e *ends) Set(text string) error {
	for _, word := range strings.Split(text, ",") {
		low, high, ok := span(word)
		switch {
		case word == "timeout":
			e.timeout = true
		case ok:
			e.spans = append(e.spans, [2]int{low, high})
		default:
			return fmt.Errorf("%q is not a failure: want an exit code from 1 to 255, a range such as "+
				"100-110, a signal such as SIGKILL, or timeout", word)
		}
	}
	e.text = strings.TrimPrefix(e.text+","+text, ",")
	return nil
}

// span reads an exit code, a range of them, or a signal.
func span(word string) (low, high int, ok bool) {
	if sig := process.ByName(strings.ToUpper(word)); sig != 0 {
		code := process.SignalBase + int(sig)
		return code, code, true
	}
	from, to, isRange := strings.Cut(word, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	return low, high, err == nil && err2 == nil && low >= 1 && low <= high && high <= 255
}

func (e *ends) String() string { return e.text }

// Type is the name of the value in the help.
func (e *ends) Type() string { return "list" }

// has reports whether the list has the failure of an attempt. An attempt that was cut short counts
// only as a timeout, whatever its exit code.
func (e *ends) has(res process.Result) bool {
	if res.Cut != nil {
		return e.timeout
	}
	for _, s := range e.spans {
		if s[0] <= res.Code && res.Code <= s[1] {
			return true
		}
	}
	return false
}

// pattern holds regular expressions, and the first line that matched one of them.
type pattern struct {
	texts []string
	re    *regexp.Regexp // any of them
	seen  atomic.Pointer[string]
}

func (p *pattern) look(line []byte) {
	if p.re != nil && p.seen.Load() == nil && p.re.Match(line) {
		const most = 200
		text := strings.ToValidUTF8(string(line[:min(len(line), most)]), "")
		p.seen.CompareAndSwap(nil, &text)
	}
}

// Set adds an expression. A line may match any of them.
func (p *pattern) Set(text string) error {
	if text == "" {
		return errors.New("the expression is empty: it would match every line")
	}
	_, err := regexp.Compile(text)
	if err != nil {
		return badRegexp(err)
	}
	p.texts = append(p.texts, "(?:"+text+")")
	p.re, err = regexp.Compile(strings.Join(p.texts, "|"))
	return err
}

func (p *pattern) String() string { return strings.Join(p.texts, "|") }

// Type is the name of the value in the help.
func (p *pattern) Type() string { return "regexp" }
