package reboundsql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/preset"
	"github.com/rebound-go/rebound/reboundsql"
)

// The databases of these examples are scripted: says holds their first answers.

func ExampleInTx() {
	db := sql.OpenDB(new(server).says("UPDATE accounts …", state("40001")))
	defer db.Close()
	policy := &rebound.Policy{Name: "transfer", Attempts: 10}

	attempts := 0
	err := reboundsql.InTx(context.Background(), db, policy, nil,
		func(ctx context.Context, tx *sql.Tx) error {
			attempts++
			_, err := tx.ExecContext(ctx, "UPDATE accounts …")
			return err
		})
	fmt.Println(attempts, err)
	// Output: 2 <nil>
}

// The transaction writes a row with a key that its caller has chosen. So Applied can find out
// whether a COMMIT without an answer was carried out. Its query waits for the COMMIT to end,
// because it takes a lock on that row.
func ExampleInTx_options() {
	db := sql.OpenDB(new(server).says("commit", io.ErrUnexpectedEOF))
	defer db.Close()

	options := reboundsql.Options{
		Tx: &sql.TxOptions{Isolation: sql.LevelSerializable},
		Applied: func(ctx context.Context) (bool, error) {
			const q = "SELECT count(*) FROM (SELECT 1 FROM transfers WHERE key = 'k7' FOR SHARE) t"
			n := 0
			err := db.QueryRowContext(ctx, q).Scan(&n)
			return n > 0, err
		},
	}
	err := reboundsql.InTx(context.Background(), db, preset.Default(), &options,
		func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO transfers (key, …) VALUES ('k7', …)")
			return err
		})
	fmt.Println(err)
	// Output: <nil>
}

func Example_inDoubt() {
	db := sql.OpenDB(new(server).says("commit", io.ErrUnexpectedEOF))
	defer db.Close()

	err := reboundsql.InTx(context.Background(), db, &rebound.Policy{Name: "transfer"}, nil, write)
	if errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		fmt.Println("look before you repeat it:", errors.Unwrap(err))
	}
	// Output: look before you repeat it: commit in doubt: unexpected EOF
}

// Any type that begins, commits and rolls back works. With pgx, use pool.Begin and pool.Reset.
func ExampleInTxOf() {
	var done []string
	begin := func(context.Context) (native, error) { return native{log: &done}, nil }

	err := reboundsql.InTxOf(context.Background(), begin, nil, nil,
		func(ctx context.Context, tx native) error { return nil })
	fmt.Println(done, err)
	// Output: [commit] <nil>
}

func ExampleExec() {
	db := sql.OpenDB(new(server).says("DELETE FROM sessions …", state("40P01")))
	defer db.Close()

	result, err := reboundsql.Exec(context.Background(), db, nil, nil, "DELETE FROM sessions …")
	if err != nil {
		fmt.Println(err)
		return
	}
	n, _ := result.RowsAffected()
	fmt.Println(n)
	// Output: 1
}

func ExampleExecIdempotent() {
	db := sql.OpenDB(new(server).says("UPDATE jobs SET state = 'done' …", io.EOF))
	defer db.Close()

	_, err := reboundsql.ExecIdempotent(context.Background(), db, nil, nil,
		"UPDATE jobs SET state = 'done' …")
	fmt.Println(err)
	// Output: <nil>
}

func ExampleQuery() {
	db := sql.OpenDB(new(server).says("row", nil, io.ErrUnexpectedEOF)) // after the first row
	defer db.Close()

	scan := func(rows *sql.Rows) (id int, err error) { return id, rows.Scan(&id) }
	ids, err := reboundsql.Query(context.Background(), db, nil, nil, scan, "SELECT id FROM accounts …")
	fmt.Println(ids, err)
	// Output: [1 2] <nil>
}
