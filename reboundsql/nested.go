package reboundsql

import (
	"context"
)

// inside is the context of a function that runs in a transaction.
type inside struct{ context.Context }

type insideKey struct{}

// Value finds that there is a transaction, beside what the attempt's context has.
func (c *inside) Value(key any) any {
	if key == (insideKey{}) {
		return true
	}
	return c.Context.Value(key)
}
