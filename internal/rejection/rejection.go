// Package rejection identifies the gate that rejected a call, for counts, metrics and log lines.
// They all use it, so that the same rejection has the same name everywhere.
package rejection

import (
	"errors"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/errtree"
	"github.com/rebound-go/rebound/limit"
)

// Gate is the gate that rejected an attempt.
type Gate struct {
	// Kind is "breaker", "rate", "throttle", "concurrency" (for adaptive limits as well), or "gate"
	// for a custom gate.
	Kind string
	Name string
}

// String returns the kind and, if there is one, the name: "breaker ocr". Log lines hold this text,
// so it must not change.
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
	// The cause of a rejected call is the gate's own error, which may wrap the error of a gate inside.
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
	// A custom gate has no name that is known here.
	return Gate{Kind: "gate"}, true
}

// limitKind derives the kind from the sentinel, because the error of a limit holds nothing else.
func limitKind(e *limit.Error) string {
	switch {
	case errors.Is(e, limit.ErrRate):
		return "rate"
	case errors.Is(e, limit.ErrShed):
		return "throttle"
	}
	return "concurrency"
}

// phrases are the kinds as they read after "rejected by".
var phrases = map[string]string{
	"breaker": "the breaker", "rate": "the rate limit", "throttle": "the throttle",
	"concurrency": "the concurrency limit", "gate": "a gate",
}

// Phrase returns a kind as it reads after "rejected by", such as "the breaker".
func Phrase(kind string) string { return phrases[kind] }
