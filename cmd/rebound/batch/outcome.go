package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// outcome decides what happens to a row after a round.
func (b *batch) outcome(ctx context.Context, j *queue.Job, a *answer) verdict {
	v := verdict{attempts: a.attempts, seconds: time.Since(a.began).Seconds(),
		limited: a.limited, backoff: a.backoff}
	v.sent, v.cost = a.place.Load() == sent, a.before+a.lost
	if a.answered {
		v.usage = llm.UsageOf(a.body)
		cost := b.prices.Cost(a.req, a.most, v.usage)
		b.purse.Settle(a.most, cost)
		v.cost += cost
	}
	if a.err == nil {
		v.line = b.line(j, a, v)
		return v
	}
	v.code, v.why = b.describe(a)
	v.fate, v.wait = b.fate(ctx, j, a)
	if v.fate != gaveUp {
		v.doubt = j.Doubt || a.maybe
		return v
	}
	if a.maybe && !a.repeatable && !permanent(a.err) {
		v.code = codeInDoubt
	}
	v.line = b.line(j, a, v)
	return v
}

// fate returns what happens to a row whose round failed, and how long all other rows are delayed.
func (b *batch) fate(ctx context.Context, j *queue.Job, a *answer) (fate, time.Duration) {
	_, spoilt := a.err.(unreadable)
	switch {
	case spoilt:
		return gaveUp, 0
	case a.place.Load() == stopped, errors.Is(a.err, ErrStopping), errors.Is(a.err, money.ErrSpent):
		return unsent, 0
	case llm.IsAccount(a.err):
		return returned, 0
	case ctx.Err() != nil:
		return cutOff, 0
	case errors.Is(a.err, rebound.Rejected), a.attempts == 0:
		return putOff, waitOf(a.err)
	case permanent(a.err), a.maybe && !a.repeatable, j.Attempts+a.attempts >= b.o.RowAttempts:
		return gaveUp, 0
	}
	return putOff, 0
}

// permanent reports whether a retry cannot help. An empty retry budget is not the row's failure.
func permanent(err error) bool {
	return llm.Classify(err).Kind == fault.Permanent && !errors.Is(err, rebound.OutOfBudget)
}

// describe returns the code and the message of a failure: the provider's if there are any,
// otherwise ours. A server may echo the request, so secrets are redacted.
func (b *batch) describe(a *answer) (code, message string) {
	hidden := b.secretsOf(a)
	err := a.err
	if inURL := (*url.Error)(nil); errors.As(err, &inURL) {
		err = inURL.Err // without the URL, which may hold a key
	}
	if answered := (*reboundhttp.StatusError)(nil); errors.As(err, &answered) {
		err = answered
	}
	message = string(hidden.Redact([]byte(err.Error())))
	switch {
	case errors.As(a.err, new(unreadable)):
		return "unreadable_row", message
	case a.resp == nil:
		return "no_response", message
	}
	code, said := results.ErrorOf(hidden.Redact(a.body))
	return cmp.Or(code, fmt.Sprintf("http_%d", a.resp.StatusCode)), cmp.Or(said, message)
}

// secretsOf returns the secrets of the batch and of the row's own request.
func (b *batch) secretsOf(a *answer) secrets.Set {
	if a.call == nil {
		return b.secrets
	}
	return b.secrets.With(secrets.InRequest(a.req)...)
}

// waitOf returns how long to delay all rows: after a rejection by a breaker, the rest of its
// cooldown.
func waitOf(err error) time.Duration {
	if open := (*breaker.OpenError)(nil); errors.As(err, &open) {
		return max(open.Remaining(), queue.FirstPause)
	}
	return 0
}
