// Package batch sends the rows of a file to an API, each once, and keeps what comes back.
//
// A row is done when its line is in the results or in the errors; what was under way when the
// process died is in the journal, and counted as in doubt. The same command again goes on.
package batch

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/request"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// batch is what the parts of a run share.
type batch struct {
	o       Options
	began   time.Time
	secrets secrets.Set

	in     *rows.Input
	store  *store.Store
	key    store.Key
	survey rows.Survey
	before store.Recovered
	prices money.Prices
	purse  money.Purse

	requests request.Maker

	halt halt

	closed  bool
	pending int // rows before this run

	feeding context.Context // ends when no more rows are to be sent

	mark Mark
	pace Pacer // nil = this is the only process
}

// open opens the files, checks the whole input, and reads what earlier runs have left.
func (b *batch) open() (err error) {
	if b.store, err = store.Open(b.o.Output, !b.o.Crash); err != nil {
		return err
	}
	if b.key, err = b.store.Key(); err != nil {
		return err
	}
	b.requests.Header, b.requests.IdempotencyAs, b.requests.Key = b.o.Header, b.o.IdempotencyAs, b.key
	if err := b.openInput(); err != nil {
		return err
	}
	collectFor(b.in.Guess(), b.o.workers())
	if b.survey, err = b.in.Check(b.key); err != nil {
		return err
	}
	if b.before, err = b.store.Recover(b.survey.Table, b.key); err != nil {
		return err
	}
	if b.o.Prices != "" {
		if b.prices, err = money.ReadPrices(b.o.Prices); err != nil {
			return fmt.Errorf("--prices: %w", err)
		}
	}
	b.purse = money.Purse{Limit: money.Dollars(b.o.Budget), Spent: b.before.Spent}
	return err
}

func (b *batch) openInput() error {
	b.in = &rows.Input{Name: b.o.Input, Where: targets(b.o)}
	if err := b.in.Open(b.o.Stdin, b.o.Output+".input"); err != nil {
		return err
	}
	var err error
	if b.in.Files, err = rows.OpenAttachments(b.o.Files); err != nil {
		return fmt.Errorf("--files: %w", err)
	}
	return nil
}

func targets(o Options) rows.Targets {
	t := rows.Targets{Base: o.Base}
	for _, u := range o.Allow {
		t.Allowed = append(t.Allowed, rows.Origin(u))
	}
	return t
}

func (b *batch) close() {
	if b.store != nil && !b.closed {
		_ = b.store.Close()
	}
	if b.in != nil {
		_ = b.in.Close()
	}
}

// collectFor has the garbage collector let the heap grow by some megabytes, whatever the table of
// so many rows takes, and the stacks and buffers of so many workers. It would let it grow to twice
// as much.
func collectFor(rows, workers int) {
	const growth, row, worker, rest = 7 << 20, 13, 40 << 10, 2 << 20 // bytes
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(min(200, 100*growth/(rest+rows*row+workers*worker)))
	}
}
