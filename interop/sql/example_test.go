//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

// The snippets of docs/sql.md.

var bankPolicy = &rebound.Policy{Name: "bank", Attempts: 5}

// demoDB is a database for an example: two accounts, and what was moved between them.
func demoDB() *sql.DB {
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range []string{
		"CREATE TABLE accounts (id INT PRIMARY KEY, balance INT)",
		"INSERT INTO accounts VALUES (1, 100), (2, 0)",
		"CREATE TABLE transfers (key TEXT PRIMARY KEY, amount INT)",
	} {
		if _, err := db.Exec(s); err != nil {
			panic(err)
		}
	}
	return db
}

var errPoor = errors.New("not enough money")

// withdraw takes money from the first account and gives it to the second.
func withdraw(ctx context.Context, db *sql.DB, amount int) error {
	return reboundsql.InTx(ctx, db, bankPolicy, nil, func(ctx context.Context, tx *sql.Tx) error {
		balance := 0
		row := tx.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = 1")
		if err := row.Scan(&balance); err != nil {
			return err
		}
		if balance < amount {
			return rebound.Permanent(errPoor)
		}
		const move = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
		if _, err := tx.ExecContext(ctx, move, -amount, 1); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, move, amount, 2)
		return err
	})
}

func Example() {
	db := demoDB()
	defer db.Close()
	fmt.Println(withdraw(context.Background(), db, 70))
	fmt.Println(errors.Is(withdraw(context.Background(), db, 70), errPoor))
	// Output:
	// <nil>
	// true
}

// Queries is what sqlc generates.
type Queries struct{ db dbtx }

type dbtx interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func New(db dbtx) *Queries { return &Queries{db} }

func (q *Queries) AddToBalance(ctx context.Context, amount, id int) error {
	_, err := q.db.ExecContext(ctx,
		"UPDATE accounts SET balance = balance + ? WHERE id = ?", amount, id)
	return err
}

func Example_sqlc() {
	db := demoDB()
	defer db.Close()
	ctx := context.Background()

	err := reboundsql.InTx(ctx, db, bankPolicy, nil, func(ctx context.Context, tx *sql.Tx) error {
		q := New(tx)
		if err := q.AddToBalance(ctx, -70, 1); err != nil {
			return err
		}
		return q.AddToBalance(ctx, 70, 2)
	})
	fmt.Println(err)
	// Output: <nil>
}

func Example_inDoubt() {
	db := demoDB()
	defer db.Close()
	ctx := context.Background()

	const key = "order-4711" // chosen by the caller, before the first attempt
	o := reboundsql.Options{
		Applied: func(ctx context.Context) (bool, error) {
			n := 0
			row := db.QueryRowContext(ctx, "SELECT count(*) FROM transfers WHERE key = ?", key)
			err := row.Scan(&n)
			return n > 0, err
		},
	}
	err := reboundsql.InTx(ctx, db, bankPolicy, &o, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO transfers VALUES (?, 70)", key)
		return err
	})
	if errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		fmt.Println("the outcome is unknown: put the order aside")
	}
	fmt.Println(err)
	// Output: <nil>
}

func Example_statements() {
	db := demoDB()
	defer db.Close()
	ctx := context.Background()

	_, err := reboundsql.ExecIdempotent(ctx, db, bankPolicy, nil,
		"UPDATE accounts SET balance = 0 WHERE id = 2")
	if err != nil {
		fmt.Println(err)
		return
	}
	scan := func(rows *sql.Rows) (balance int, err error) { return balance, rows.Scan(&balance) }
	balances, err := reboundsql.Query(ctx, db, bankPolicy, nil, scan,
		"SELECT balance FROM accounts ORDER BY id")
	fmt.Println(balances, err)
	// Output: [100 0] <nil>
}

func TestPgxPool(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, startPostgres(t).overSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, "CREATE TABLE transfers (key TEXT PRIMARY KEY, amount INT)")
	if err != nil {
		t.Fatal(err)
	}

	begin := func(ctx context.Context) (pgx.Tx, error) {
		return pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	}
	o := reboundsql.Options{Reset: pool.Reset}
	err = reboundsql.InTxOf(ctx, begin, bankPolicy, &o, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO transfers VALUES ($1, $2)", "order-4711", 70)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A row that another transaction has changed since the snapshot: no savepoint can write it any
// more, and the whole transaction is made again.
func TestPgxSavepoint(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, startPostgres(t).overSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, "CREATE TABLE a (n INT); INSERT INTO a VALUES (0)")
	if err != nil {
		t.Fatal(err)
	}
	begin := func(ctx context.Context) (pgx.Tx, error) {
		return pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	}
	transactions, savepoints := 0, 0
	err = reboundsql.InTxOf(ctx, begin, policy(nil), nil, func(ctx context.Context, tx pgx.Tx) error {
		transactions++
		n := 0
		if err := tx.QueryRow(ctx, "SELECT n FROM a").Scan(&n); err != nil {
			return err
		}
		if transactions == 1 {
			if _, err := pool.Exec(ctx, "UPDATE a SET n = n + 1"); err != nil {
				return err
			}
		}
		return reboundsql.InTxOf(ctx, tx.Begin, policy(nil), nil,
			func(ctx context.Context, part pgx.Tx) error {
				savepoints++
				_, err := part.Exec(ctx, "UPDATE a SET n = $1", n+1)
				return err
			})
	})
	n := 0
	if err := pool.QueryRow(ctx, "SELECT n FROM a").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err != nil || transactions != 2 || savepoints != 2 || n != 2 {
		t.Errorf("got %v, %d transactions, %d savepoints, n %d, want success and 2 of each",
			err, transactions, savepoints, n)
	}
}
