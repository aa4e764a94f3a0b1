package main

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rebound-go/rebound/policyfile"
)

// word is a flag for a value that has an UnmarshalText.
type word struct {
	to   encoding.TextUnmarshaler
	kind string
	text string
}

func (w *word) Set(text string) error {
	w.text = text
	return w.to.UnmarshalText([]byte(text))
}

func (w *word) String() string { return w.text }

// Type is the name of the value in the help.
func (w *word) Type() string { return w.kind }

// duration is a flag for a duration. A number without a unit is in seconds, as for sleep and
// timeout.
type duration struct {
	to   *policyfile.Duration
	text string
	zero bool // 0 is allowed
}

// seconds matches a duration without a unit.
var seconds = regexp.MustCompile(`^\d*\.?\d*$`)

func (d *duration) Set(text string) error {
	v, err := parseDelay(text)
	switch {
	case err != nil:
		return err
	case v == 0 && !d.zero:
		return errors.New("it is 0: want more than 0")
	}
	*d.to, d.text = policyfile.Duration(v), text
	return nil
}

func (d *duration) String() string { return d.text }

// durationVar adds a flag for a duration with a default. 0 is allowed.
func durationVar(s *pflag.FlagSet, to *time.Duration, name string, value time.Duration,
	usage string) {
	*to = value
	d := &duration{to: (*policyfile.Duration)(to), zero: true}
	if value > 0 {
		d.text = short(value)
	}
	s.Var(d, name, usage)
}

// Type is the name of the value in the help.
func (d *duration) Type() string { return "duration" }

// durations is a flag for a list of durations.
type durations struct {
	to   *[]policyfile.Duration
	text string
}

func (d *durations) Set(text string) error {
	var list []policyfile.Duration
	for part := range strings.SplitSeq(text, ",") {
		v, err := parseDelay(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		list = append(list, policyfile.Duration(v))
	}
	*d.to, d.text = list, text
	return nil
}

func (d *durations) String() string { return d.text }

// Type is the name of the value in the help.
func (d *durations) Type() string { return "durations" }

// parseDelay parses a number of seconds, or a number with a unit.
func parseDelay(text string) (time.Duration, error) {
	withUnit := text
	if seconds.MatchString(text) {
		withUnit += "s"
	}
	d, err := time.ParseDuration(withUnit)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: want seconds, or a number and a unit such as "+
			"500ms or 1m30s", text)
	}
	return d, nil
}

// growth is a flag for the factor of an exponential backoff.
type growth struct{ to *float64 }

func (g growth) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 1) || math.IsInf(f, 1) {
		return fmt.Errorf("%q is not a factor: want a number of 1 or more", text)
	}
	*g.to = f
	return nil
}

func (g growth) String() string {
	if g.to == nil || *g.to == 0 {
		return ""
	}
	return strconv.FormatFloat(*g.to, 'g', -1, 64)
}

// Type is the name of the value in the help.
func (g growth) Type() string { return "number" }

// habit is a flag of other programs, such as --retries. Its value is the name of our flag for the
// same thing. Setting it is an error that names our flag.
type habit string

// habits lists the flags of other programs.
var habits = map[string]habit{
	"retries": retries, "retry": retries, "max-retries": retries,
	"tries": "attempts", "max-attempts": "attempts", "count": "attempts", "times": "attempts",
	"sleep": "delay", "wait": "delay", "interval": "delay", "retry-delay": "delay", "base": "delay",
	"max": "max-delay", "max-wait": "max-delay", "max-backoff": "max-delay",
	"max-time": "timeout", "retry-max-time": "timeout", "max-elapsed": "timeout",
	"deadline": "timeout", "try-timeout": "attempt-timeout",
}

// retries counts the attempts after the first.
const retries habit = "retries"

func (h habit) Set(value string) error {
	n, err := strconv.Atoi(value)
	switch {
	case h != retries:
		return fmt.Errorf("did you mean --%s %s?", string(h), value)
	case err != nil || n < 0 || n == math.MaxInt:
		return errors.New("did you mean --attempts? It counts the first attempt, too")
	}
	return fmt.Errorf("did you mean --attempts %d? It counts the first attempt, too", n+1)
}

func (h habit) String() string { return "" }

// Type is the name of the value in a help that would show it.
func (h habit) Type() string { return "value" }

// registerHabits adds the habits as hidden flags.
func registerHabits(s *pflag.FlagSet) {
	for name, h := range habits {
		s.Var(h, name, "")
		s.Lookup(name).Hidden = true
	}
}

// badRegexp rewrites the error of package regexp in the form of the other errors.
func badRegexp(err error) error {
	var bad *syntax.Error
	if errors.As(err, &bad) {
		return fmt.Errorf("%q is not a regular expression: %s", bad.Expr, bad.Code)
	}
	return err
}
