package breaker_test

import (
	"context"
	"errors"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

var (
	errDown = errors.New("connection reset")
	success = gate.Outcome{Result: gate.OK}
	failure = gate.Outcome{Fault: fault.Fault{
		Kind: fault.Transient, Detail: "status 503", Err: errDown,
	}}
)

// call makes one call with this outcome and reports whether it was admitted.
func call(g guard, o gate.Outcome) bool {
	p, err := g.Enter(context.Background())
	if err == nil {
		g.Leave(p, o)
	}
	return err == nil
}

func fail(g guard, n int) {
	for range n {
		call(g, failure)
	}
}

func succeed(g guard, n int) {
	for range n {
		call(g, success)
	}
}
