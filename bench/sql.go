package bench

import (
	"context"
	"database/sql"

	"github.com/cenkalti/backoff/v7"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

var sqlEntries = []Entry{
	{"sql_tx", "floor", Floor, "BeginTx, update, Commit, no retry", func() Op {
		db := newDB()
		return func(ctx context.Context, id int) (int, error) { return inTx(ctx, db, id) }
	}, nil, nil},
	{"sql_tx", "cenkalti", Peer, "around the same", func() Op {
		db, tries := newDB(), backoff.WithMaxTries(3)
		return func(ctx context.Context, id int) (int, error) {
			return backoff.Retry(ctx, func() (int, error) { return inTx(ctx, db, id) }, tries)
		}
	}, nil, nil},
	{"sql_tx", "rebound", Ours, "reboundsql.InTx", func() Op {
		db, p := newDB(), &rebound.Policy{}
		return func(ctx context.Context, id int) (v int, err error) {
			err = reboundsql.InTx(ctx, db, p, nil, func(ctx context.Context, tx *sql.Tx) (err error) {
				v, err = update(ctx, tx, id)
				return err
			})
			return v, err
		}
	}, nil, nil},
}

// newDB returns a database of one connection and one row. It is never closed, because the operation
// needs it until the program ends.
func newDB() *sql.DB {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER);" +
		"INSERT INTO accounts VALUES (1, 0)")
	if err != nil {
		panic(err)
	}
	return db
}

// inTx is a hand-written transaction.
func inTx(ctx context.Context, db *sql.DB, id int) (int, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // has no effect after a Commit
	v, err := update(ctx, tx, id)
	if err != nil {
		return v, err
	}
	return v, tx.Commit()
}

func update(ctx context.Context, tx *sql.Tx, id int) (int, error) {
	const query = "UPDATE accounts SET balance = ? WHERE id = 1"
	if _, err := tx.ExecContext(ctx, query, id); err != nil {
		return 0, err
	}
	return work(ctx, id)
}
