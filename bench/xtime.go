package bench

import (
	"context"
	"errors"

	"golang.org/x/time/rate"
)

var xtimeEntries = []Entry{
	{"budget_take", "x/time/rate", Reference, "Allow: reads the clock, gives nothing back", func() Op {
		l := rate.NewLimiter(1e9, 1<<30)
		return func(context.Context, int) (int, error) {
			if !l.Allow() {
				return 0, errors.New("limited")
			}
			return 0, nil
		}
	}, nil, nil},
}
