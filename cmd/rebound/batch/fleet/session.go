package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// session is a worker, from its entry in the database to its end. A process that was away for too
// long begins another: what the one before holds is no longer its own.
type session struct {
	id     string
	db     *DB
	batch  info // stops is as it was when the session began
	o      Options
	lease  time.Duration
	shared *batch.Shared

	feeding context.Context // ends when no further row is to be sent
	calls   context.Context // ends when those under way are to end
	recent  ended
	pace    *pacer
	first   chan struct{} // is closed when a first row is through
	through atomic.Bool
	early   chan struct{} // has a place for each row that is sent before

	away     atomic.Bool  // the database does not answer
	reported atomic.Int64 // when a failure to store rows was reported, in Unix nanoseconds

	beaten, looked time.Time // of watch
}

// newSession enters a worker in the database.
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

// enter enters the worker. The first one begins a run: what the one before has counted and learned
// is over.
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

// firstRows are sent until a first one is through: it may show that nothing works.
const firstRows = 8

// claim is a row that this session holds.
type claim struct {
	s        *session
	id       int64
	line     []byte
	state    int // before it was claimed
	attempts int
	reserved money.Amount
	again    bool // it is in doubt, and was not sent again yet
}

var (
	errEnded = errors.New("the row has ended")
	errHeld  = errors.New("another worker has the row")
	errLost  = errors.New("other workers have taken the rows of this one")
)

// claimKey is the context's key of the row that is sent.
type claimKey struct{}
