package policyfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/internal/strictjson"
)

// Duration is a time.Duration as text: "500ms", "2s", "1m30s". It must not be negative.
type Duration time.Duration

// MarshalText writes the text of time.Duration.String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText parses a duration. A number without a unit is an error.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := strictjson.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Attempts is a number of attempts; [rebound.Unlimited] is written "unlimited".
type Attempts int

const unlimited = "unlimited"

// MarshalJSON writes a number, or "unlimited".
func (a Attempts) MarshalJSON() ([]byte, error) {
	if a == rebound.Unlimited {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendInt(nil, int64(a), 10), nil
}

// UnmarshalText reads a number of 1 or more, or "unlimited".
func (a *Attempts) UnmarshalText(text []byte) error {
	if string(text) == unlimited {
		*a = rebound.Unlimited
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return fmt.Errorf(`%q is not a number of attempts: want 1 or more, or "unlimited"`, text)
	}
	*a = Attempts(n)
	return nil
}

// Jitter is a [backoff.Jitter] as text: "full", "equal", "none", "additive:0.5",
// "proportional:0.5", or a range of multiples of the delay, such as "0.5..1.5".
type Jitter string

// UnmarshalText returns an error for any other text.
func (j *Jitter) UnmarshalText(text []byte) error {
	if _, err := Jitter(text).jitter(); err != nil {
		return err
	}
	*j = Jitter(text)
	return nil
}

// jitter returns the jitter that j describes. "" is full.
func (j Jitter) jitter() (backoff.Jitter, error) {
	var made backoff.Jitter
	var low, high float64
	var err, err2 error
	name, amount, hasAmount := strings.Cut(string(j), ":")
	switch {
	case j == "" || j == "full":
		return backoff.Full(), nil
	case j == "equal":
		return backoff.Equal(), nil
	case j == "none":
		return backoff.None(), nil
	case hasAmount && (name == "additive" || name == "proportional"):
		low, err = strconv.ParseFloat(amount, 64)
		if made = backoff.Additive(low); name == "proportional" {
			made = backoff.Proportional(low)
		}
	default:
		from, to, _ := strings.Cut(string(j), "..")
		low, err = strconv.ParseFloat(from, 64)
		high, err2 = strconv.ParseFloat(to, 64)
		made = backoff.Jitter{Low: low, High: high}
	}
	if err != nil || err2 != nil || made.Validate() != nil || made == (backoff.Jitter{}) {
		return made, fmt.Errorf("%q is not a jitter: want full, equal, none, additive:0.5, "+
			"proportional:0.5 or a range such as 0.5..1.5", string(j))
	}
	return made, nil
}

// Kind is the name of a backoff strategy: "constant", "linear", "exponential", "fibonacci",
// "decorrelated" or "steps".
type Kind string

var kinds = []string{"constant", "linear", "exponential", "fibonacci", "decorrelated", "steps"}

// UnmarshalText returns an error for any other name.
func (k *Kind) UnmarshalText(text []byte) error { return word(k, text, "kind of backoff", kinds) }

// Match is a class of failures. The classes "timeout", "connection", "io" and "server" are those of
// package preset. The class "server" is a status or a code of a transient failure. The classes
// "unknown", "transient", "rate_limited" and "overloaded" are kinds of package fault. No class
// contains permanent failures, answers or cancellations by the caller.
type Match string

var matches = []string{
	"timeout", "connection", "server", "io", "unknown", "transient", "rate_limited", "overloaded",
}

// UnmarshalText returns an error for any other name.
func (m *Match) UnmarshalText(text []byte) error {
	return word(m, text, "class of failures", matches)
}

func word[T ~string](to *T, text []byte, what string, known []string) error {
	if !slices.Contains(known, string(text)) {
		return fmt.Errorf("%q is not a %s: %s", text, what, strictjson.Hint(string(text), known))
	}
	*to = T(text)
	return nil
}
