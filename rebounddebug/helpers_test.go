package rebounddebug_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/rebounddebug"
)

var errDown = errors.New("down for maintenance")

// failing makes a call that fails.
func failing(t *testing.T, p *rebound.Policy) {
	t.Helper()
	if err := rebound.Run(t.Context(), p, func(context.Context) error { return errDown }); err == nil {
		t.Error("the call succeeded")
	}
}

func groups(g ...iter.Seq[rebounddebug.Breaker]) []iter.Seq[rebounddebug.Breaker] { return g }
