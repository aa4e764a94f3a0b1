package batch

import (
	"context"
	"fmt"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

// work sends a row, and carries out the verdict.
func (b *run) work(ctx context.Context, w *worker, j *queue.Job) {
	defer b.queue.Ended()
	a := w.send(j)
	b.settle(ctx, w, j, &a)
}

// settle carries out the verdict on a row after a round.
func (b *run) settle(ctx context.Context, w *worker, j *queue.Job, a *answer) {
	v := b.outcome(ctx, j, a)
	b.tally.end(j, v)
	switch v.fate {
	case succeeded, gaveUp:
		if err := b.store.Finish(v.line, v.fate == gaveUp); err != nil {
			b.halt.fail(err)
		}
		w.reuse(v.line)
		b.judge(b.tally.ended(v))
		return
	case putOff:
		j.Attempts, j.Lost = j.Attempts+v.attempts, v.cost
		j.Again, j.Doubt = j.Again && v.attempts == 0, v.doubt
		b.queue.PutOff(*j)
		b.queue.Hold(min(v.wait, b.sender.service.Left()))
	case returned:
		b.halt.stop(exitStopped, "a fault of the account: "+v.why)
	case unsent:
		if b.purse.UsedUp() {
			b.halt.stop(exitStopped, money.ErrSpent.Error())
		}
	}
	if v.sent && !v.doubt {
		b.store.GiveBack(j.Row.Key)
	}
}

// hold writes a row in doubt that must not be sent again to the errors.
func (b *run) hold(r rows.Row) {
	v := b.heldBack(r, b.before.Reserved[r.Key.ID])
	b.tally.heldBack(r, v)
	if err := b.store.Finish(v.line, true); err != nil {
		b.halt.fail(err)
	}
}

// heldBack returns the verdict of a row in doubt that must not be sent again.
func (b *batch) heldBack(r rows.Row, lost money.Amount) verdict {
	v := verdict{fate: gaveUp, code: codeInDoubt, why: "an earlier run sent this row and ended " +
		"before it had a result: the server may have acted on it"}
	v.cost = lost
	v.line = b.line(&queue.Job{Row: r}, &answer{}, v)
	return v
}

// judge stops the batch if too many rows failed, or if the first rows all failed with one code.
func (b *run) judge(e Ended) {
	switch {
	case b.o.MaxFailures.exceeded(e.Rows, e.Failed):
		b.halt.stop(exitStopped, fmt.Sprintf("%d of %d rows failed: more than --max-failures %v",
			e.Failed, e.Rows, b.o.MaxFailures))
	case b.o.First > 0 && e.Rows >= b.o.First && e.Alike:
		b.halt.stop(exitStopped, fmt.Sprintf("the first %d rows all failed with %s: %s", e.Rows,
			e.Code, e.Why))
	}
}
