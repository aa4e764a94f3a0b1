package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
)

// session is a worker, as long as its row in the database exists. If a process is away for longer
// than its lease, it loses its rows, and begins another session.
type session struct {
	id     string
	db     *DB
	batch  info // stops is the value when the session began
	o      Options
	lease  time.Duration
	shared *batch.Shared

	feeding context.Context // ends when no more rows may be sent
	calls   context.Context // ends when rows in flight must end
	recent  ended
	working sync.Map // ids of the rows that this session handles
	pace    *pacer
	first   chan struct{} // is closed when a first row has been handled
	through atomic.Bool   // first is closed, or will be soon
	early   chan struct{} // has room for the rows that may be sent before that
	rest    outage.Rest

	away     atomic.Bool  // the database does not answer
	reported atomic.Int64 // the last report of a failure to store rows, in Unix nanoseconds

	beaten, looked time.Time // the last heartbeat and the last takeOver; only watch uses them
}

// newSession connects to the database, and adds the worker to it.
func newSession(ctx context.Context, address string, s *session) (*session, error) {
	host, _ := os.Hostname()
	db, err := open(ctx, address, sessionConns)
	if err != nil {
		return nil, err
	}
	s.id, s.db, s.lease = fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), rand.Text()[:8]), db, s.o.Lease
	s.first, s.early = make(chan struct{}), make(chan struct{}, firstRows)
	s.recent.wake = make(chan struct{}, 1)
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error { return s.enter(ctx, tx) })
	if err != nil {
		db.Close()
		return nil, db.own(err)
	}
	return s, nil
}

// enter adds the worker. If no other worker is alive, a new run begins: the counts and the learned
// limits are reset.
func (s *session) enter(ctx context.Context, tx pgx.Tx) error {
	if err := tx.QueryRow(ctx, "SELECT stops FROM rebound.batch WHERE name = $1 FOR NO KEY UPDATE",
		s.batch.name).Scan(&s.batch.stops); err != nil {
		return err
	}
	var others bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM rebound.worker WHERE batch = $1 AND NOT "+
		isGone+")", s.batch.name).Scan(&others); err != nil {
		return err
	}
	if !others {
		for _, sql := range []string{
			"UPDATE rebound.batch SET " + endRun + " WHERE name = $1",
			"UPDATE rebound.pace SET requests = 0, tokens = 0 WHERE batch = $1",
		} {
			if _, err := tx.Exec(ctx, sql, s.batch.name); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, "INSERT INTO rebound.worker (id, batch, lease) VALUES ($1, $2, $3)", s.id,
		s.batch.name, s.lease)
	return err
}

// firstRows is how many rows are sent before a first one has been handled. That row may show that
// nothing works.
const firstRows = 8

// claim is a row that this session holds.
type claim struct {
	s        *session
	id       int64
	line     []byte
	state    int // when the row was claimed
	attempts int
	reserved money.Amount
	again    bool // the row is in doubt, and has not been sent again yet
}

var (
	errEnded = errors.New("the row has ended")
	errHeld  = errors.New("another worker has the row")
	errLost  = errors.New("other workers have taken the rows of this one")
)

// claimKey is the context key of the claim that is being sent.
type claimKey struct{}
