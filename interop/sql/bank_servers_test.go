//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundsql"
)

// pooled opens a database that keeps a connection for each teller.
func pooled(t *testing.T, driver, dsn string) *sql.DB {
	db := open(t, driver, dsn)
	db.SetMaxIdleConns(tellers)
	return db
}

// chaos breaks the wire four times a second, so that answers are lost, and kills the server several
// times, until stop is closed.
func chaos(t *testing.T, d *database, w *wire, stop <-chan struct{}) (kills, cuts int) {
	next := *bankTime / 5
	death := time.NewTimer(next)
	defer death.Stop()
	cut := time.NewTicker(250 * time.Millisecond)
	defer cut.Stop()
	for {
		select {
		case <-stop:
			return kills, cuts
		case <-cut.C:
			w.mute()
			pause(30 * time.Millisecond)
			w.mend()
			cuts++
		case <-death.C:
			d.Kill()
			if err := d.Run(); err != nil {
				t.Error(err)
			}
			kills++
			death.Reset(next)
		}
	}
}

// office is a bank with the tellers of one kind.
type office struct {
	who    string
	tell   teller
	unique bool // keys are
	honest bool // what the tellers report must be true
}

func (o office) open(t *testing.T, d *database, w *wire, direct *sql.DB) {
	openBank(t, direct, o.unique)
	l := &ledger{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	kills, cuts := 0, 0
	go func() {
		defer close(stopped)
		kills, cuts = chaos(t, d, w, stop)
	}()
	l.serve("t", tellers, *bankTime, o.tell)
	close(stop)
	<-stopped
	a := l.audit(t, d.direct(t))
	t.Logf("%d kills, %d cuts, last failure: %v\n%s\n%s", kills, cuts, l.example,
		auditHead, a.row(o.who))
	if o.honest {
		a.honest(t, o.who)
	}
}

func TestBankPostgres(t *testing.T) {
	d := startPostgres(t)
	w := newWire(t, d)
	direct := d.direct(t)
	dsn := daemon.PostgresURL(w.addr())
	db := pooled(t, "pgx", dsn)
	pool, err := pgxpool.New(context.Background(), daemon.PostgresURL(w.addr())+"&pool_max_conns=20")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	retries := &tally{}
	p := patient(retries)
	offices := []office{
		{"plain", plain(db), false, false},
		{"reboundsql, with database/sql", resilient(db, p, nil), true, true},
		{"reboundsql, pgxpool, with Applied", native(pool, p), true, true},
		{"reboundsql, with pgx wrapped", resilient(pooled(t, "traced-pgx", dsn), p, nil), true, true},
		{"reboundsql, with lib/pq wrapped", resilient(pooled(t, "traced-postgres", dsn), p, nil),
			true, true},
	}
	if thorough() {
		offices = append(offices, office{"naive", naive(db), false, false},
			office{"reboundsql, with Applied", resilient(db, p, appliedPostgres(db)), true, true})
	}
	for _, o := range offices {
		t.Run(o.who, func(t *testing.T) { o.open(t, d, w, direct) })
	}
	t.Logf("retries: %v", retries.n)
}

func TestBankMariaDB(t *testing.T) {
	if err := mysql.SetLogger(log.New(io.Discard, "", 0)); err != nil {
		t.Fatal(err)
	}
	d := startMariaDB(t)
	w := newWire(t, d)
	direct := d.direct(t)
	dsn := d.mysql(w.addr()) + "?readTimeout=5s"
	db := pooled(t, "mysql", dsn)
	snapshot := pooled(t, "traced-mysql", dsn+"&innodb_snapshot_isolation=ON&max_statement_time=0.02")
	repeatable := &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
	retries := &tally{}
	p := patient(retries)
	offices := []office{
		{"plain", plain(db), false, false},
		{"reboundsql, with Applied", resilient(db, p, appliedMariaDB(db)), true, true},
		{"reboundsql, wrapped, snapshot isolation, statements of 20 ms",
			isolated(snapshot, p, repeatable, nil), true, true},
	}
	if thorough() {
		offices = append(offices, office{"naive", naive(db), false, false},
			office{"reboundsql", resilient(db, p, nil), true, true})
	}
	for _, o := range offices {
		t.Run(o.who, func(t *testing.T) { o.open(t, d, w, direct) })
	}
	t.Logf("retries: %v", retries.n)
}

// appliedPostgres inserts the key of a transfer itself, in a transaction that is rolled back. If
// another transaction has inserted the key and has not ended yet, the insert waits for its end.
func appliedPostgres(db *sql.DB) func(context.Context, transfer) (bool, error) {
	return func(ctx context.Context, m transfer) (bool, error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return false, err
		}
		defer tx.Rollback()
		res, err := tx.ExecContext(ctx, tryKey(m))
		if err != nil {
			return false, err
		}
		n, err := res.RowsAffected()
		return n == 0, err
	}
}

func tryKey(m transfer) string {
	return fmt.Sprintf("INSERT INTO transfers (k) VALUES ('%s') ON CONFLICT DO NOTHING", m.key)
}

// appliedMariaDB reads the transfer with a lock, which waits for a transaction that inserts it.
func appliedMariaDB(db *sql.DB) func(context.Context, transfer) (bool, error) {
	return func(ctx context.Context, m transfer) (bool, error) {
		n := 0
		q := fmt.Sprintf("SELECT count(*) FROM transfers WHERE k = '%s' LOCK IN SHARE MODE", m.key)
		err := db.QueryRowContext(ctx, q).Scan(&n)
		return n > 0, err
	}
}

// native is a teller that uses only pgx.
func native(pool *pgxpool.Pool, p *rebound.Policy) teller {
	begin := func(ctx context.Context) (pgx.Tx, error) {
		return pool.BeginTx(ctx, pgxOptions(serializable))
	}
	return func(ctx context.Context, m transfer) error {
		o := reboundsql.Options{Reset: pool.Reset, Applied: func(ctx context.Context) (bool, error) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return false, err
			}
			defer tx.Rollback(context.WithoutCancel(ctx))
			tag, err := tx.Exec(ctx, tryKey(m))
			return err == nil && tag.RowsAffected() == 0, err
		}}
		return reboundsql.InTxOf(ctx, begin, p, &o, func(ctx context.Context, tx pgx.Tx) error {
			return m.move(ctx, pgxQuerier{tx})
		})
	}
}

// pgxQuerier is a querier over pgx.
type pgxQuerier struct{ pgx.Tx }

func (q pgxQuerier) balance(ctx context.Context, account int) (n int, err error) {
	const query = "SELECT balance FROM accounts WHERE id = "
	return n, q.QueryRow(ctx, query+strconv.Itoa(account)).Scan(&n)
}

func (q pgxQuerier) exec(ctx context.Context, statement string) error {
	_, err := q.Exec(ctx, statement)
	return err
}
