package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rebound-go/rebound/policyfile"
)

// policyFlags are the flags that choose a policy and change single fields of it.
type policyFlags struct {
	ref            string
	attempts       policyfile.Attempts
	kind           policyfile.Kind
	delay, step    policyfile.Duration
	factor         float64
	least, longest policyfile.Duration
	steps          []policyfile.Duration
	jitter         policyfile.Jitter
	timeout        policyfile.Duration
	attemptTimeout policyfile.Duration

	set *pflag.FlagSet
}

func (f *policyFlags) register(c *cobra.Command) {
	f.set = c.Flags()
	s := f.set
	s.StringVarP(&f.ref, "policy", "p", "default", "policy: a name, or file.yaml#name")
	s.VarP(&word{to: &f.attempts, kind: "number"}, "attempts", "n",
		`attempts, including the first, or "unlimited"`)
	s.Var(&word{to: &f.kind, kind: "kind"}, "backoff",
		"constant, linear, exponential, fibonacci, decorrelated or steps")
	s.VarP(&duration{to: &f.delay, zero: true}, "delay", "d", "delay after the first attempt")
	s.Var(&duration{to: &f.least}, "min-delay", "shortest delay")
	s.Var(&duration{to: &f.longest}, "max-delay", "longest delay")
	s.Var(&durations{to: &f.steps}, "steps", "list of delays: 1s,10s,1m; the last one repeats")
	s.Var(growth{&f.factor}, "factor", "factor from one delay to the next (exponential)")
	s.Var(&duration{to: &f.step}, "step", "time added from one delay to the next (linear)")
	s.Var(&word{to: &f.jitter, kind: "jitter"}, "jitter",
		"full, equal, none, additive:0.5, proportional:0.5 or 0.5..1.5")
	s.VarP(&duration{to: &f.timeout, zero: true}, "timeout", "t",
		"time limit for all attempts and delays")
	s.Var(&duration{to: &f.attemptTimeout, zero: true}, "attempt-timeout",
		"time limit for each attempt")
	f.showDefaults()
	registerHabits(s)
	complete(c, "policy", ownNames())
	complete(c, "backoff", []string{
		"constant", "linear", "exponential", "fibonacci", "decorrelated", "steps",
	})
	complete(c, "jitter", []string{"full", "equal", "none", "additive:0.5", "proportional:0.5"})
}

// showDefaults makes the help show the fields of the default policy.
func (f *policyFlags) showDefaults() {
	spec := own()[f.ref]
	for flag, value := range map[string]any{
		"attempts": spec.Attempts, "backoff": spec.Backoff.Kind, "delay": spec.Backoff.Base,
		"max-delay": spec.Backoff.Max, "factor": spec.Backoff.Factor, "jitter": spec.Backoff.Jitter,
	} {
		if d, ok := value.(policyfile.Duration); ok {
			value = short(time.Duration(d))
		}
		f.set.Lookup(flag).DefValue = fmt.Sprint(value)
	}
}

// complete makes the shell complete a flag's value with the words, and with files.
func complete(c *cobra.Command, flag string, words []string) {
	offer := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveDefault
	}
	if err := c.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic(err) // there is no such flag
	}
}

// choose returns the policy that the flags describe.
func (f *policyFlags) choose() (named, error) {
	p, err := findOne(f.ref)
	if err != nil {
		if meant := f.set.Lookup("p" + f.ref); meant != nil {
			err = fmt.Errorf("did you mean --%s, with two dashes?", meant.Name)
		}
		return p, err
	}
	if f.attempts != 0 {
		p.spec.Attempts = f.attempts
	}
	if f.set.Changed("timeout") {
		p.spec.MaxElapsed = f.timeout
		if f.timeout > 0 { // an attempt cannot last longer than all of them
			p.spec.AttemptTimeout = min(p.spec.AttemptTimeout, f.timeout)
		}
	}
	if f.set.Changed("attempt-timeout") {
		p.spec.AttemptTimeout = f.attemptTimeout
	}
	f.changeBackoff(&p.spec)
	if _, err = p.spec.Build(p.name); err != nil {
		err = errors.New(inFlags(err.Error()))
	}
	return p, err
}

// inFlags replaces the names of fields by those of flags, in an error of a policy. The policy is
// valid without the flags, so a flag is the cause.
func inFlags(text string) string {
	text = fieldOfPolicy.ReplaceAllString(text, "")
	for field, flag := range flagOf {
		text = regexp.MustCompile(`\b`+field+`\b`).ReplaceAllString(text, "--"+flag)
	}
	return text
}

var fieldOfPolicy = regexp.MustCompile(
	`^(rebound: Policy\.)?(Backoff(: backoff: (\w+\.)?|\.))?`)

// flagOf maps a field of a policy to the flag that sets it.
var flagOf = map[string]string{
	"Base": "delay", "Constant": "delay", "Max": "max-delay", "Factor": "factor", "Step": "step",
	"Jitter": "jitter", "MaxElapsed": "timeout", "AttemptTimeout": "attempt-timeout",
	"Min": "min-delay", "Delays": "steps",
}

// changeBackoff changes the delays. Another kind of backoff keeps only the base, the shortest and
// longest delay and the jitter, if it has such fields.
func (f *policyFlags) changeBackoff(spec *policyfile.Policy) {
	var b policyfile.Backoff
	if spec.Backoff != nil {
		b = *spec.Backoff
	}
	kind := f.kind
	if f.steps != nil {
		kind = cmp.Or(kind, "steps")
	}
	if kind != "" && kind != cmp.Or(b.Kind, "exponential") {
		b = policyfile.Backoff{Kind: kind, Base: b.Base, Min: b.Min, Max: b.Max, Jitter: b.Jitter}
		switch kind {
		case "constant":
			b.Min, b.Max, b.Jitter = 0, 0, ""
		case "decorrelated":
			b.Jitter = ""
		case "steps":
			b.Base, b.Min, b.Max = 0, 0, 0
		}
	}
	switch {
	case f.set.Changed("delay") && f.delay == 0 && kind == "":
		b = policyfile.Backoff{Kind: "constant"} // in other kinds, a base of 0 means the default
	case f.set.Changed("delay"):
		b.Base = f.delay
	}
	f.changeBounds(&b)
	if f.steps != nil {
		b.Delays = f.steps
	}
	b.Step = cmp.Or(f.step, b.Step)
	b.Factor = cmp.Or(f.factor, b.Factor)
	b.Jitter = cmp.Or(f.jitter, b.Jitter)
	if !reflect.ValueOf(b).IsZero() {
		spec.Backoff = &b
	}
}

// changeBounds changes the shortest and longest delay. A bound that no flag has set is moved if it
// contradicts one that a flag has set. Max is never moved for Min: all delays would be the same.
func (f *policyFlags) changeBounds(b *policyfile.Backoff) {
	b.Min = cmp.Or(f.least, b.Min)
	b.Max = cmp.Or(f.longest, b.Max)
	switch {
	case f.longest == 0 && b.Max != 0:
		b.Max = max(b.Max, b.Base)
	case f.longest != 0 && !f.set.Changed("delay"):
		b.Base = min(b.Base, b.Max)
	}
	if f.longest != 0 && f.least == 0 {
		b.Min = min(b.Min, b.Max)
	}
}
