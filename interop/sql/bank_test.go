//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/reboundsql"
)

// The figures in docs/sql.md are of go test ./sql -run Bank -bank 20s -v.
var bankTime = flag.Duration("bank", 3*time.Second, "how long each bank is open")

// thorough reports whether there is time for a long run.
func thorough() bool { return *bankTime >= 10*time.Second }

const (
	accounts = 64
	opening  = 1000 // the balance of each account
	tellers  = 16
)

// transfer is an order to move money. The caller chooses its key, so that its outcome can be found
// afterwards.
type transfer struct {
	key      string
	from, to int
	amount   int
}

// querier is the part of a transaction that a transfer needs.
type querier interface {
	balance(ctx context.Context, account int) (int, error)
	exec(ctx context.Context, statement string) error
}

// move reads two balances and writes the new ones. If another transfer comes in between, money is
// lost or created. Accounts are locked in any order, so that transfers deadlock.
func (m transfer) move(ctx context.Context, q querier) error {
	from, err := q.balance(ctx, m.from)
	if err != nil {
		return err
	}
	to, err := q.balance(ctx, m.to)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("UPDATE accounts SET balance = %d WHERE id = %d", from-m.amount, m.from),
		fmt.Sprintf("UPDATE accounts SET balance = %d WHERE id = %d", to+m.amount, m.to),
		fmt.Sprintf("INSERT INTO transfers VALUES ('%s', %d, %d, %d)", m.key, m.from, m.to, m.amount),
	} {
		if err := q.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// sqlQuerier is a querier over database/sql.
type sqlQuerier struct{ *sql.Tx }

func (q sqlQuerier) balance(ctx context.Context, account int) (n int, err error) {
	const query = "SELECT balance FROM accounts WHERE id = "
	return n, q.QueryRowContext(ctx, query+fmt.Sprint(account)).Scan(&n)
}

func (q sqlQuerier) exec(ctx context.Context, statement string) error {
	_, err := q.ExecContext(ctx, statement)
	return err
}

// teller carries a transfer out. Nil means that it is done, ErrOutcomeUnknown that it is in doubt,
// and any other error that it was not done.
type teller func(context.Context, transfer) error

var serializable = &sql.TxOptions{Isolation: sql.LevelSerializable}

// plain is a teller that uses only database/sql.
func plain(db *sql.DB) teller {
	return func(ctx context.Context, m transfer) error {
		tx, err := db.BeginTx(ctx, serializable)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := m.move(ctx, sqlQuerier{tx}); err != nil {
			return err
		}
		return tx.Commit()
	}
}

// naive retries everything, up to ten attempts.
func naive(db *sql.DB) teller {
	once := plain(db)
	return func(ctx context.Context, m transfer) (err error) {
		for range 10 {
			if err = once(ctx, m); err == nil {
				return nil
			}
			pause(100 * time.Millisecond)
		}
		return err
	}
}

// patient is a policy that outlives a restart of the server.
func patient(retries *tally) *rebound.Policy {
	p := policy(nil)
	p.Attempts, p.MaxElapsed, p.AttemptTimeout = rebound.Unlimited, 20*time.Second, 5*time.Second
	p.Backoff = backoff.Exponential{Base: 5 * time.Millisecond, Max: 300 * time.Millisecond}
	p.Budget = budget.Unlimited
	p.Observe = func(_ context.Context, e rebound.Event) {
		if e.Kind == rebound.Retrying {
			retries.add(e.Fault.Detail)
		}
	}
	return p
}

// resilient is a teller that uses reboundsql. applied, if set, returns whether a transfer was
// carried out.
func resilient(
	db *sql.DB, p *rebound.Policy, applied func(context.Context, transfer) (bool, error),
) teller {
	return isolated(db, p, serializable, applied)
}

// isolated is a resilient teller whose transactions have their own options.
func isolated(
	db *sql.DB, p *rebound.Policy, tx *sql.TxOptions,
	applied func(context.Context, transfer) (bool, error),
) teller {
	return func(ctx context.Context, m transfer) error {
		o := reboundsql.Options{Tx: tx}
		if applied != nil {
			o.Applied = func(ctx context.Context) (bool, error) { return applied(ctx, m) }
		}
		return reboundsql.InTx(ctx, db, p, &o, func(ctx context.Context, tx *sql.Tx) error {
			return m.move(ctx, sqlQuerier{tx})
		})
	}
}

// ledger is what the tellers have reported.
type ledger struct {
	mu                  sync.Mutex
	done, failed, doubt []transfer
	example             error // of a failure
	print               func(outcome string, m transfer)
}

func (l *ledger) report(m transfer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outcome := "done"
	switch {
	case err == nil:
		l.done = append(l.done, m)
	case errors.Is(err, reboundsql.ErrOutcomeUnknown):
		outcome, l.doubt = "doubt", append(l.doubt, m)
	default:
		outcome, l.failed, l.example = "failed", append(l.failed, m), err
	}
	if l.print != nil {
		l.print(outcome, m)
	}
}

// serve runs n tellers for d. The key of each transfer begins with name.
func (l *ledger) serve(name string, n int, d time.Duration, tell teller) {
	end := time.Now().Add(d)
	var working sync.WaitGroup
	for i := range n {
		working.Go(func() {
			for j := 0; time.Now().Before(end); j++ {
				from := rand.IntN(accounts)
				m := transfer{fmt.Sprintf("%s-%d-%d", name, i, j), from,
					(from + 1 + rand.IntN(accounts-1)) % accounts, 1 + rand.IntN(9)}
				err := tell(context.Background(), m)
				if l.report(m, err); err != nil {
					pause(10 * time.Millisecond) // without a server, calls fail at once
				}
			}
		})
	}
	working.Wait()
}

// audit compares the database with the tellers' reports.
type audit struct {
	done, failed, doubt           int
	lost, twice, phantom, applied int // done and absent, or there again; failed or in doubt, and there
	money                         int // more than there was
	crooked                       int // accounts whose transfers do not explain their balance
}

func openBank(t testing.TB, db *sql.DB, unique bool) {
	t.Helper()
	index := "CREATE INDEX transfers_k ON transfers (k)"
	if unique {
		index = "CREATE UNIQUE INDEX transfers_k ON transfers (k)"
	}
	mustExec(t, db, "DROP TABLE IF EXISTS accounts", "DROP TABLE IF EXISTS transfers",
		"CREATE TABLE accounts (id INT PRIMARY KEY, balance INT)",
		"CREATE TABLE transfers (k VARCHAR(60), src INT, dst INT, amount INT)", index)
	for i := range accounts {
		mustExec(t, db, fmt.Sprintf("INSERT INTO accounts VALUES (%d, %d)", i, opening))
	}
}

func (l *ledger) audit(t testing.TB, db *sql.DB) audit {
	t.Helper()
	a := audit{done: len(l.done), failed: len(l.failed), doubt: len(l.doubt)}
	there := map[string]int{}
	var balance [accounts]int
	rows, err := db.Query("SELECT k, src, dst, amount FROM transfers")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var m transfer
		if err := rows.Scan(&m.key, &m.from, &m.to, &m.amount); err != nil {
			t.Fatal(err)
		}
		there[m.key]++
		balance[m.from] -= m.amount
		balance[m.to] += m.amount
	}
	for _, m := range l.done {
		a.lost += max(0, 1-there[m.key])
		a.twice += max(0, there[m.key]-1)
	}
	for _, m := range l.failed {
		a.phantom += min(1, there[m.key])
	}
	for _, m := range l.doubt {
		a.applied += min(1, there[m.key])
	}
	for i, moved := range balance {
		n := mustCount(t, db, fmt.Sprintf("SELECT balance FROM accounts WHERE id = %d", i))
		a.money += n - opening
		if n != opening+moved {
			a.crooked++
		}
	}
	return a
}

const auditHead = "| who | done | failed | in doubt (of them applied) | failed, yet applied " +
	"| done twice | done, yet absent | money made |"

func (a audit) row(who string) string {
	return fmt.Sprintf("| %s | %d | %d | %d (%d) | %d | %d | %d | %d |", who, a.done, a.failed,
		a.doubt, a.applied, a.phantom, a.twice, a.lost, a.money)
}

// honest fails the test unless every report is true.
func (a audit) honest(t testing.TB, who string) {
	t.Helper()
	if a.phantom+a.twice+a.lost+a.crooked != 0 || a.money != 0 || a.done == 0 {
		t.Errorf("%s: got %+v, want every report to be true, and no money created or lost", who, a)
	}
}
