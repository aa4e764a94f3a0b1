package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

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
	first   chan struct{}   // is closed when a first row is through
	through atomic.Bool
	early   chan struct{} // has a place for each row that is sent before
	away    bool          // the database does not answer
}

// newSession enters a worker in the database.
func newSession(
	ctx context.Context, address string, b info, o Options, shared *batch.Shared,
) (*session, error) {
	host, _ := os.Hostname()
	db, err := open(ctx, address, sessionConns)
	if err != nil {
		return nil, err
	}
	s := &session{
		id: fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), rand.Text()[:8]),
		db: db, batch: b, o: o, shared: shared, lease: o.Lease,
		first: make(chan struct{}), early: make(chan struct{}, firstRows),
	}
	_, err = db.pool.Exec(ctx, "INSERT INTO rebound.worker (id, batch) VALUES ($1, $2)", s.id,
		b.name)
	if err == nil {
		err = db.pool.QueryRow(ctx, "SELECT stops FROM rebound.batch WHERE name = $1", b.name).
			Scan(&s.batch.stops)
	}
	if err != nil {
		db.Close()
		return nil, db.own(err)
	}
	return s, nil
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
