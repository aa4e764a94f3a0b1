// Package batch sends each row of a file to an API once, and keeps the answers.
//
// A row has ended when its line is in the results or in the errors. The journal records which rows
// were sent. A row that was sent and has no line is in doubt. The same command continues the batch.
package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/crew"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/request"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// batch is the state that the parts of a run share.
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
	pending int // rows that were pending when this run began

	feeding context.Context // ends when no more rows are to be sent

	mark Mark  // is called before a row is sent
	pace Pacer // nil = no other process shares the limits
}

// open opens the files, checks the whole input, and recovers the state of earlier runs.
func (b *batch) open() (err error) {
	if b.store, err = store.Open(b.o.Output, !b.o.Crash); err != nil {
		return err
	}
	if b.key, err = b.store.Key(); err != nil {
		return err
	}
	if err := b.configure(); err != nil {
		return err
	}
	if err := b.in.Open(b.o.Stdin, b.o.Output+".input"); err != nil {
		return err
	}
	crew.Collect(b.in.Guess(), b.o.start())
	if b.survey, err = b.in.Check(b.key); err != nil {
		return err
	}
	if b.before, err = b.store.Recover(b.survey.Table, b.key); err != nil {
		return err
	}
	b.purse = money.Purse{Limit: money.Dollars(b.o.Budget), Spent: b.before.Spent}
	return nil
}

// configure sets up the requests, the input and its files from the options and the key. It also
// reads the prices.
func (b *batch) configure() (err error) {
	b.requests.Header, b.requests.IdempotencyAs, b.requests.Key = b.o.Header, b.o.IdempotencyAs, b.key
	b.in = &rows.Input{Name: b.o.Input, Where: rows.NewTargets(b.o.Base, b.o.Allow)}
	if b.in.Files, err = rows.OpenAttachments(b.o.Files); err != nil {
		return fmt.Errorf("--files: %w", err)
	}
	if b.o.Prices != "" {
		if b.prices, err = money.ReadPrices(b.o.Prices); err != nil {
			return fmt.Errorf("--prices: %w", err)
		}
	}
	return nil
}

func (b *batch) close() {
	if b.store != nil && !b.closed {
		_ = b.store.Close()
	}
	if b.in != nil {
		_ = b.in.Close()
	}
}
