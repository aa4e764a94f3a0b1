package main

import (
	"cmp"
	"encoding"

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
	longest        policyfile.Duration
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
		`attempts, the first included, or "unlimited"`)
	s.Var(&word{to: &f.kind, kind: "kind"}, "backoff",
		"constant, linear, exponential, fibonacci or decorrelated")
	s.VarP(&word{to: &f.delay, kind: "duration"}, "delay", "d", "wait after the first attempt")
	s.Var(&word{to: &f.longest, kind: "duration"}, "max-delay", "longest wait")
	s.Float64Var(&f.factor, "factor", 0, "growth from one wait to the next (exponential)")
	s.Var(&word{to: &f.step, kind: "duration"}, "step", "growth from one wait to the next (linear)")
	s.Var(&word{to: &f.jitter, kind: "jitter"}, "jitter",
		"full, equal, none, additive:0.5, proportional:0.5 or 0.5..1.5")
	s.VarP(&word{to: &f.timeout, kind: "duration"}, "timeout", "t", "time for all, waits included")
	s.Var(&word{to: &f.attemptTimeout, kind: "duration"}, "attempt-timeout", "time for each attempt")
	complete(c, "policy", ownNames())
	complete(c, "backoff", []string{
		"constant", "linear", "exponential", "fibonacci", "decorrelated",
	})
	complete(c, "jitter", []string{"full", "equal", "none", "additive:0.5", "proportional:0.5"})
}

// complete has the shell offer the words for a flag, and files.
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
		return p, err
	}
	p.spec.Attempts = cmp.Or(f.attempts, p.spec.Attempts)
	p.spec.MaxElapsed = cmp.Or(f.timeout, p.spec.MaxElapsed)
	p.spec.AttemptTimeout = cmp.Or(f.attemptTimeout, p.spec.AttemptTimeout)
	f.changeBackoff(&p.spec)
	_, err = p.build()
	return p, err
}

// changeBackoff changes the waits. With another kind, only base, the longest wait and the jitter
// stay what they were.
func (f *policyFlags) changeBackoff(spec *policyfile.Policy) {
	var b policyfile.Backoff
	if spec.Backoff != nil {
		b = *spec.Backoff
	}
	if f.kind != "" && f.kind != cmp.Or(b.Kind, "exponential") {
		b = policyfile.Backoff{Kind: f.kind, Base: b.Base, Max: b.Max, Jitter: b.Jitter}
		switch f.kind {
		case "constant":
			b.Max, b.Jitter = 0, ""
		case "decorrelated":
			b.Jitter = ""
		}
	}
	switch {
	case f.set.Changed("delay") && f.delay == 0 && f.kind == "":
		b = policyfile.Backoff{Kind: "constant"} // else 0 would mean the default of another kind
	case f.set.Changed("delay"):
		b.Base = f.delay
	}
	b.Max = cmp.Or(f.longest, b.Max)
	b.Step = cmp.Or(f.step, b.Step)
	b.Factor = cmp.Or(f.factor, b.Factor)
	b.Jitter = cmp.Or(f.jitter, b.Jitter)
	if b != (policyfile.Backoff{}) {
		spec.Backoff = &b
	}
}

// word is a flag for a value that reads itself from a text.
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

// Type is what the help calls the value.
func (w *word) Type() string { return w.kind }
