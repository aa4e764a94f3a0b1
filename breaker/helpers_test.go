package breaker_test

import (
	"context"
	"errors"

	"github.com/rebound-go/rebound/fault"
)

var (
	errDown = errors.New("connection reset")
	success = fault.Outcome{Result: fault.OK}
	failure = fault.Outcome{Fault: fault.Fault{
		Kind: fault.Transient, Detail: "status 503", Err: errDown,
	}}
)

// call makes one call with this outcome and reports whether it was let through.
func call(g gate, o fault.Outcome) bool {
	p, err := g.Enter(context.Background())
	if err == nil {
		g.Leave(p, o)
	}
	return err == nil
}

func fail(g gate, n int) {
	for range n {
		call(g, failure)
	}
}

func succeed(g gate, n int) {
	for range n {
		call(g, success)
	}
}
