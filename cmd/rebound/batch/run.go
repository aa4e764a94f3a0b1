package batch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/crew"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/ordered"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/cmd/rebound/batch/tee"
)

// Run runs the batch, and returns its report and the exit code. It returns an error if rebound
// itself failed.
func Run(ctx context.Context, o Options) (Summary, int, error) {
	o.defaults()
	b := &run{batch: &batch{o: o, began: time.Now(), secrets: secrets.Set{}.With(o.Secret...)}}
	defer b.close()
	if err := b.open(); err != nil {
		return Summary{}, exitOwn, err
	}
	if err := b.takeUp(); err != nil {
		return Summary{}, exitOwn, err
	}
	b.tally = newTally(b.survey.Table)
	if o.Budget > 0 {
		if err := b.checkPrices(); err != nil {
			return Summary{}, exitOwn, err
		}
	}
	if o.DryRun {
		return b.summary(), exitAll, b.plan(o.Stdout, b.summary())
	}
	b.prepare()
	if err := b.sendAll(ctx); err != nil {
		return b.summary(), exitOwn, err
	}
	s := b.summary()
	if o.Probe > 0 {
		s.Estimate = b.estimate(s)
	}
	return s, b.exitCode(), nil
}

// takeUp makes the rows pending whose errors --retry names. In a dry run it changes no file.
func (b *run) takeUp() error {
	if !b.o.RetryFailed && !b.o.RetryInDoubt {
		return nil
	}
	again := func(e results.Ending) bool {
		if e.Stopped == stoppedInDoubt {
			return b.o.RetryInDoubt
		}
		return b.o.RetryFailed
	}
	if b.o.DryRun {
		return b.store.Foresee(b.survey.Table, b.key, again)
	}
	taken, err := b.store.Retry(b.survey.Table, b.key, b.before.Generation+1, again)
	b.before.Generation += min(taken, 1)
	return err
}

// prepare sets up the sender, the queue and the store's writer.
func (b *run) prepare() {
	b.sender = newSender(b.batch)
	b.queue = queue.New(b.again)
	if b.pending = b.survey.Table.Count()[store.Pending]; b.o.Probe > 0 {
		b.tally.probed = map[uint64]store.State{}
	}
	b.mark = func(_ context.Context, key store.Row, cost money.Amount) error {
		err := b.store.Start(key, cost)
		b.halt.fail(err)
		return err
	}
	b.store.Begin()
}

// sendAll sends the rows, copies the results to standard output if --tee is set, and completes the
// files.
func (b *run) sendAll(ctx context.Context) error {
	stopTee := func() error { return nil }
	if b.o.Tee {
		var err error
		if stopTee, err = tee.Follow(b.o.Output, b.store.Durable, b.o.Stdout); err != nil {
			return err
		}
	}
	b.sendRows(ctx)
	err := b.finish()
	return errors.Join(err, stopTee())
}

// sendRows sends rows until none are left or the batch stops.
func (b *run) sendRows(ctx context.Context) {
	feed, stopFeed := context.WithCancel(ctx)
	calls, cut := context.WithCancel(ctx)
	defer cut()
	b.halt.feed, b.feeding = stopFeed, feed
	var watched, fed sync.WaitGroup
	watched.Go(func() { b.watch(feed, calls, cut) })
	if b.o.Progress != nil {
		defer b.o.Progress(b)()
	}
	rows := b.survey.Table.Len()
	workers := &crew.Crew{First: b.o.start(), Most: min(b.o.workers(), max(rows, 1)), Rows: rows,
		Flight: b.sender.flight}
	workers.Work = func() {
		w, stop := b.sender.newWorker(calls)
		defer stop()
		for !workers.Leave() {
			j, ok := b.queue.Next(feed)
			if !ok {
				return
			}
			workers.Hire()
			b.work(calls, w, &j)
		}
	}
	b.sender.hire = workers.Hire
	fed.Go(func() { b.feed(feed) })
	workers.Start(firstWorkers)
	b.queue.AwaitFirst(feed)
	workers.Start(b.o.start())
	workers.Wait()
	fed.Wait()
	stopFeed()
	cut()
	watched.Wait()
}

// watch stops the batch at its deadline and at signals. After the first signal, rows in flight may
// end within the grace. A second signal cuts them off.
func (b *run) watch(feed, calls context.Context, cut func()) {
	var deadline, grace <-chan time.Time
	if b.o.Deadline > 0 {
		deadline = time.After(b.o.Deadline)
	}
	stopping := feed.Done()
	for {
		select {
		case <-calls.Done():
			return
		case <-stopping:
			stopping, grace = nil, time.After(b.o.Grace)
		case <-deadline:
			b.halt.stop(exitDeadline, "the deadline of "+b.o.Deadline.String()+" is over")
		case s := <-b.o.Signals:
			if !b.halt.stop(128+s.Number, s.Name) {
				cut()
			}
		case <-grace:
			cut()
		}
	}
}

// finish closes the store, and writes --ordered if all rows have ended.
func (b *run) finish() error {
	err := b.store.Close()
	b.closed = true
	if err != nil {
		return err
	}
	if err := b.halt.own(); err != nil {
		return err
	}
	if b.o.Ordered != "" && b.exitCode() <= exitFailed {
		all := ordered.Batch{Input: b.in, Table: b.survey.Table, Key: b.key, Path: b.o.Output}
		return all.Write(b.o.Ordered)
	}
	return nil
}

// exitCode returns the exit code of the command.
func (b *run) exitCode() int {
	code, _ := b.halt.reason()
	s := b.summary()
	switch {
	case s.Pending+s.InDoubt > 0 && code != 0:
		return code
	case s.Pending+s.InDoubt > 0:
		return exitStopped
	case s.Failed > 0:
		return exitFailed
	}
	return exitAll
}
