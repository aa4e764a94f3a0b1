// Package rejection names what rejected a call, for counts, metrics and log lines.
package rejection

import (
	"errors"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/errtree"
	"github.com/rebound-go/rebound/limit"
)

// Gate is what rejected an attempt.
type Gate struct {
	// Kind is "breaker", "rate", "throttle", "concurrency" (an adaptive limit is one as well), or
	// "gate" for a custom gate.
	Kind string
	Name string
}

// String returns the kind and the name.
func (g Gate) String() string {
	if g.Name == "" {
		return g.Kind
	}
	return g.Kind + " " + g.Name
}

// By returns the gate that ended the call of a GaveUp event, and false if none did.
func By(e rebound.Event) (Gate, bool) {
	if e.Kind != rebound.GaveUp || e.Reason != rebound.Rejected {
		return Gate{}, false
	}
	// The cause of a rejected call is the gate's own error, which may wrap that of a gate inside.
	var cause error
	if call, ok := e.Err.(*rebound.Error); ok {
		cause = call.Cause
	}
	if open, ok := errtree.As[*breaker.OpenError](cause); ok {
		return Gate{"breaker", open.Name}, true
	}
	if full, ok := errtree.As[*limit.Error](cause); ok {
		return Gate{limitKind(full), full.Name}, true
	}
	return Gate{Kind: "gate"}, true
}

// limitKind reads the kind off the sentinel, since an error of a limit holds no more.
func limitKind(e *limit.Error) string {
	switch {
	case errors.Is(e, limit.ErrRate):
		return "rate"
	case errors.Is(e, limit.ErrShed):
		return "throttle"
	}
	return "concurrency"
}

// phrases are the kinds as people read them behind "rejected by".
var phrases = map[string]string{
	"breaker": "the breaker", "rate": "the rate limit", "throttle": "the throttle",
	"concurrency": "the concurrency limit", "gate": "a gate",
}

// Phrase returns a kind as it reads behind "rejected by", such as "the breaker".
func Phrase(kind string) string { return phrases[kind] }
