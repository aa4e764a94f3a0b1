//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

// BenchmarkInTx measures what InTx adds to a transaction with one statement, written by hand.
func BenchmarkInTx(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmark(b, "sqlite", "file::memory:") })
	d := startPostgres(b)
	b.Run("postgres", func(b *testing.B) { benchmark(b, "pgx", d.overSocket()) })
}

func benchmark(b *testing.B, driver, dsn string) {
	db := open(b, driver, dsn)
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	mustExec(b, db, "CREATE TABLE bench (id INT PRIMARY KEY, n INT)",
		"INSERT INTO bench VALUES (1, 0)")
	update := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE bench SET n = n + 1 WHERE id = 1")
		return err
	}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := byHand(ctx, db, update); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("InTx", func(b *testing.B) {
		p := &rebound.Policy{}
		b.ReportAllocs()
		for b.Loop() {
			if err := reboundsql.InTx(ctx, db, p, nil, update); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func byHand(ctx context.Context, db *sql.DB, fn func(context.Context, *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
