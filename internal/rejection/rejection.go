// Package rejection names what rejected a call, for counts, metrics and log lines.
package rejection

import (
	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/errtree"
)

// Kinds of gates.
const (
	breakerKind = "breaker"
	customKind  = "gate"
)

// Gate is what rejected an attempt.
type Gate struct {
	Kind string // "breaker", or "gate" for a custom gate
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
	var cause error
	if call, ok := e.Err.(*rebound.Error); ok {
		cause = call.Cause
	}
	if open, ok := errtree.As[*breaker.OpenError](cause); ok {
		return Gate{breakerKind, open.Name}, true
	}
	return Gate{Kind: customKind}, true
}

// phrases are the kinds as people read them behind "rejected by".
var phrases = map[string]string{breakerKind: "the breaker", customKind: "a gate"}

// Phrase returns a kind as it reads behind "rejected by", such as "the breaker".
func Phrase(kind string) string { return phrases[kind] }
