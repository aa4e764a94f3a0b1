package batch

import (
	"context"

	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/request"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// feed reads the input and offers its rows to the workers, until the context ends.
func (b *run) feed(ctx context.Context) {
	defer b.queue.Fed()
	n := b.survey.Table.Count()
	var skip func(id string) bool
	switch {
	case n[store.Pending]+n[store.InDoubt] == 0:
		return
	case n[store.Done]+n[store.Failed] > 0:
		skip = b.ended
	}
	fresh := n[store.Pending] == b.survey.Table.Len() // no row has to be looked up
	pending := 0
	err := b.in.ScanBut(skip, func(_ int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		r.Key.ID = b.key.Hash(r.ID)
		state := store.Pending
		if !fresh {
			i, known := b.survey.Table.Find(r.Key.ID)
			if !known {
				return rows.ErrChanged
			}
			state = b.survey.Table.State(i)
		}
		if !b.drawn(state, &pending) {
			return nil
		}
		switch b.step(r, state) {
		case leave:
			return nil
		case hold:
			b.hold(r)
			return nil
		}
		j := queue.Job{Row: r}
		if state == store.InDoubt {
			j.Again, j.Doubt, j.Lost = true, true, b.before.Reserved[r.Key.ID]
		}
		return b.queue.Offer(ctx, j)
	})
	if err != nil && ctx.Err() == nil {
		b.halt.fail(err)
	}
}

// again reads a row that was put off, by its offset in the input.
func (b *run) again(at int64) (rows.Row, bool) {
	r, err := b.in.Row(at, b.key)
	b.halt.fail(err)
	return r, err == nil
}

// ended reports whether a row ended before this run.
func (b *batch) ended(id string) bool {
	i, known := b.survey.Table.Find(b.key.Hash(id))
	return known && b.survey.Table.State(i) >= store.Done
}

// A step is what a run does with a row of the input.
type step int

const (
	leave step = iota // nothing: the row has ended
	send
	hold // write it to the errors: it is in doubt, and is not sent again
)

func (b *batch) step(r rows.Row, state store.State) step {
	switch {
	case state == store.Done, state == store.Failed:
		return leave
	case state == store.InDoubt && !b.redo(r):
		return hold
	}
	return send
}

func (b *batch) redo(r rows.Row) bool {
	switch b.o.InDoubt {
	case "redo":
		return true
	case "hold":
		return false
	}
	return request.Repeatable(b.requests.Of(r, nil))
}

// drawn reports whether this run sends a row. A probe sends pending rows that are spread evenly
// over the file. nth counts the pending rows.
func (b *batch) drawn(state store.State, nth *int) bool {
	if b.o.Probe == 0 {
		return true
	}
	if state != store.Pending {
		return false
	}
	before := *nth * b.o.Probe / max(b.pending, b.o.Probe)
	*nth++
	return *nth*b.o.Probe/max(b.pending, b.o.Probe) > before
}
