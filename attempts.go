package rebound

import (
	"context"
	"iter"
)

// Attempts is [Do] as a loop. Its body is the attempt: it gets the attempt's context and number,
// from 1, and assigns its error to *errp. The loop ends when that error is nil, or when p says
// stop, in which case *errp becomes the [*Error].
//
//	var user User
//	var err error
//	for ctx := range rebound.Attempts(ctx, policy, &err) {
//		user, err = api.User(ctx, id)
//	}
//
// A body that assigns nothing ends the loop with an error that holds [ErrUnset]: the most common
// slip is an inner := that shadows the variable. After a break, or a return, the attempt ends with
// what *errp holds, which is left as it is; unset counts as success. A nil errp is such a slip
// too, one that cannot be told: the body runs once. While the body runs, and until it assigns,
// *errp holds ErrUnset: the error of the attempt before is not to be read from it.
func Attempts(ctx context.Context, p *Policy, errp *error) iter.Seq2[context.Context, int] {
	return func(yield func(context.Context, int) bool) { iterate(ctx, p, errp, yield) }
}

func iterate(
	ctx context.Context, p *Policy, errp *error, yield func(context.Context, int) bool,
) {
	if p == nil {
		p = &shared
	}
	if errp == nil {
		errp = new(error)
	}
	c := newCall(ctx, p)
	before := *errp
	defer func() {
		if *errp == ErrUnset { // the body panicked before it assigned
			*errp = before
		}
	}()
	_, err := loop(&c, func(ctx context.Context) (struct{}, error) {
		*errp = ErrUnset
		c.broke = !yield(ctx, c.attempt)
		if c.broke && *errp == ErrUnset {
			*errp = nil
		}
		return struct{}{}, *errp
	}, struct{}{})
	if !c.broke {
		*errp = err
	}
}
