package reboundsql_test

import (
	"context"
	"database/sql"
	"io"
	"testing"
	"testing/synctest"

	"github.com/rebound-go/rebound/reboundsql"
)

// Ten thousand transactions that fail in every possible way leave no connection in use, which
// database checks. They leave no goroutine, because the test would panic at the end of the bubble.
// With a pool of one connection, the first leak would block.
func TestNothingLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db := s.database(t)
		db.SetMaxOpenConns(1)
		failures := []struct {
			word string
			err  error
		}{
			{"begin", state("53300")}, {"exec", state("42601")}, {"exec", io.EOF},
			{"commit", io.EOF}, {"commit", state("40001")}, {"exec", nil},
		}
		for i := range 10_000 {
			f := failures[i%len(failures)]
			s.script, s.log = nil, nil
			s.says(f.word, f.err)
			err := reboundsql.InTx(t.Context(), db, quick(1), nil,
				func(ctx context.Context, tx *sql.Tx) error {
					if err := write(ctx, tx); err != nil {
						return err
					}
					if _, err := tx.QueryContext(ctx, "query"); err != nil { // never closed
						return err
					}
					if f.err == nil {
						return io.EOF
					}
					return nil
				})
			if err == nil {
				t.Fatalf("transaction %d: want it to fail", i)
			}
		}
		db.Close()
	})
}
