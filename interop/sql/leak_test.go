//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/reboundsql"
)

const failures = 10_000

var errEnough = errors.New("enough")

// failing runs n transactions that fail: one leaves its rows open, one does not compile, one fails
// by itself and one panics.
func failing(t *testing.T, n int, once func(fn func(query func(string) error) error) error) {
	t.Helper()
	for i := range n {
		err := once(func(query func(string) error) error {
			switch i % 4 {
			case 0:
				return errors.Join(query("SELECT 1 UNION ALL SELECT 2"), errEnough)
			case 1:
				return query("NONSENSE")
			case 2:
				panic(errEnough)
			}
			return errEnough
		})
		if err == nil {
			t.Fatalf("transaction %d: want it to fail", i)
		}
	}
}

// caught turns a panic into an error.
func caught(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error)
		}
	}()
	return fn()
}

func settled(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		pause(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before,
		buf[:runtime.Stack(buf, true)])
}

// Ten thousand transactions that fail, through one connection at most.
func TestNothingLeaks(t *testing.T) {
	d := startPostgres(t)
	p := &rebound.Policy{Attempts: 1, Budget: budget.Unlimited}
	for _, driver := range []string{"pgx", "postgres", "sqlite"} {
		t.Run(driver, func(t *testing.T) {
			before := runtime.NumGoroutine()
			dsn := d.overSocket()
			if driver == "sqlite" {
				dsn = "file::memory:"
			}
			db := open(t, driver, dsn)
			db.SetMaxOpenConns(1)
			failing(t, failures, func(fn func(func(string) error) error) error {
				return caught(func() error { return failingSQL(t.Context(), db, p, fn) })
			})
			if s := db.Stats(); s.InUse != 0 || s.OpenConnections > 1 {
				t.Errorf("%d connections in use, %d open, want 0 and 1", s.InUse, s.OpenConnections)
			}
			db.Close()
			settled(t, before)
		})
	}
	t.Run("pgxpool", func(t *testing.T) {
		before := runtime.NumGoroutine()
		pool, err := pgxpool.New(t.Context(), d.overSocket()+"&pool_max_conns=1")
		if err != nil {
			t.Fatal(err)
		}
		failing(t, failures, func(fn func(func(string) error) error) error {
			return caught(func() error { return failingPgx(t.Context(), pool, p, fn) })
		})
		if n := inUse(pool); n != 0 {
			t.Errorf("%d connections in use, want 0", n)
		}
		pool.Close()
		settled(t, before)
	})
}

func failingSQL(
	ctx context.Context, db *sql.DB, p *rebound.Policy, fn func(func(string) error) error,
) error {
	return reboundsql.InTx(ctx, db, p, nil, func(ctx context.Context, tx *sql.Tx) error {
		return fn(func(q string) error {
			_, err := tx.QueryContext(ctx, q) // the rows stay open
			return err
		})
	})
}

func failingPgx(
	ctx context.Context, pool *pgxpool.Pool, p *rebound.Policy, fn func(func(string) error) error,
) error {
	return reboundsql.InTxOf(ctx, pool.Begin, p, nil,
		func(ctx context.Context, tx pgx.Tx) error {
			return fn(func(q string) error {
				rows, err := tx.Query(ctx, q)
				rows.Close()
				return errors.Join(err, rows.Err())
			})
		})
}
