package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/limit"
)

// work is the state of a worker process, over all its sessions.
type work struct {
	address string
	batch   info
	o       Options
	shared  *batch.Shared
	pace    *pacer
	session atomic.Pointer[session]
	counts  atomic.Pointer[Counts]
	err     error
}

// Work sends rows of a batch until none is left. It returns the report of the whole batch, and the
// exit code. The report is empty if the worker was stopped before it began.
func Work(ctx context.Context, db *DB, o Options) (batch.Summary, int, error) {
	o.Lease = cmp.Or(o.Lease, Lease)
	w := &work{address: db.address, o: o}
	if err := w.newShared(); err != nil {
		return batch.Summary{}, own, err
	}
	began := time.Now()
	var first *session
	w.shared.Serve(ctx, func(feeding, calls context.Context) {
		if first, w.err = w.begin(feeding, db); w.err != nil {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go w.count(ctx, db)
		if o.Progress != nil {
			defer o.Progress(w)()
		}
		w.err = w.sessions(ctx, first, feeding, calls)
	})
	if first != nil {
		return w.report(ctx, db, began)
	}
	if code, why := w.shared.Stopped(); code != 0 {
		o.Notice("stopped before the first row: " + why)
		return batch.Summary{}, code, nil
	}
	return batch.Summary{}, own, w.err
}

// newShared makes what needs no database.
func (w *work) newShared() (err error) {
	w.pace = newPacer(w.o.Name, rates{w.o.Requests, w.o.Tokens},
		func() *DB { return w.session.Load().db })
	mark := func(ctx context.Context, _ store.Row, cost money.Amount) error {
		c := ctx.Value(claimKey{}).(*claim)
		return c.s.mark(ctx, c, cost)
	}
	w.counts.Store(&Counts{})
	w.shared, err = batch.NewShared(w.o.Options, mark, w.pace)
	return err
}

// begin finds the batch, checks its hosts and costs before anything is sent, and begins the first
// session.
func (w *work) begin(ctx context.Context, db *DB) (s *session, err error) {
	if w.batch, err = db.find(ctx, w.o.Name); err != nil {
		return nil, err
	}
	w.shared.Use(w.batch.key)
	w.pace.batch = w.batch.name // Options.Name may be empty
	if err := w.checkHosts(); err != nil {
		return nil, err
	}
	if w.o.Budget > 0 {
		if err := w.checkBounds(ctx, db); err != nil {
			return nil, err
		}
	}
	if s, err = w.newSession(ctx); err != nil {
		return nil, err
	}
	w.session.Store(s)
	return s, nil
}

// checkHosts returns an error if rows go to a host that the flags do not allow.
func (w *work) checkHosts() error {
	allowed := []string{}
	if w.o.Base != nil {
		allowed = append(allowed, "", rows.Origin(w.o.Base))
	}
	for _, u := range w.o.Allow {
		allowed = append(allowed, rows.Origin(u))
	}
	for _, host := range slices.Sorted(maps.Keys(w.batch.hosts)) {
		switch {
		case slices.Contains(allowed, host):
		case host == "":
			return errors.New("missing_base: the batch has URLs without a host: want --base URL")
		default:
			return fmt.Errorf("foreign_host: the batch has rows for %s, which is not allowed: want it in "+
				"--base or --allow", host)
		}
	}
	return nil
}

// checkBounds returns an error for the first row whose cost has no bound.
func (w *work) checkBounds(ctx context.Context, db *DB) error {
	return db.own(eachRow(ctx, db.pool, `SELECT custom_id, line FROM rebound.row
		WHERE batch = $1 AND state < 3 ORDER BY id`, func(row pgx.Rows) error {
		var id, line []byte
		if err := row.Scan(&id, &line); err != nil {
			return err
		}
		r, err := w.shared.Parse(line)
		if err == nil {
			err = w.shared.Bound(r)
		}
		if err != nil {
			return fmt.Errorf("row %q: %w", id, err)
		}
		return nil
	}, w.batch.name))
}

func (w *work) newSession(ctx context.Context) (*session, error) {
	return newSession(ctx, w.address, &session{batch: w.batch, o: w.o, shared: w.shared, pace: w.pace})
}

// sessions runs one session after the other, until one ends that was not lost.
func (w *work) sessions(ctx context.Context, s *session, feeding, calls context.Context) error {
	for {
		err := s.run(feeding, calls)
		if !errors.Is(err, errLost) {
			return err
		}
		w.o.Notice(fmt.Sprintf("this worker was away for %v or longer; it lost its rows, and continues "+
			"with others", w.o.Lease))
		err = persist(feeding, func(ctx context.Context) (err error) {
			s, err = w.newSession(ctx)
			return err
		})
		switch {
		case feeding.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		w.session.Store(s)
	}
}

// count reads the counts of the batch from time to time.
func (w *work) count(ctx context.Context, db *DB) {
	for ctx.Err() == nil {
		began := time.Now()
		if c, err := db.counts(ctx, w.batch.name); err == nil {
			w.counts.Store(&c)
		}
		// Counting a million rows takes part of a second, so the pause is 20 times as long.
		_ = clock.Sleep(ctx, max(2*time.Second, 20*time.Since(began)))
	}
}

// report returns the report of the batch, with the limits, tokens and times of this process.
func (w *work) report(
	ctx context.Context, db *DB, began time.Time,
) (s batch.Summary, code int, err error) {
	code, why := w.shared.Stopped()
	if code == own {
		w.err = errors.New(why)
	}
	s = w.shared.Summary()
	s.Limits = w.Limits()
	s.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	wait := w.o.Grace
	if code != 0 {
		wait = lastLook
	}
	var c Counts
	counted := persistFor(ctx, wait, func(ctx context.Context) (err error) {
		c, err = db.counts(ctx, w.batch.name)
		return err
	})
	switch {
	case w.err != nil:
		return s, own, w.err
	case counted != nil && code == 0:
		return s, own, db.own(counted)
	case counted != nil: // the worker was stopped, so it keeps its exit code
		w.o.Notice(db.own(counted).Error() + "; the counts in the report are older")
		c = *w.counts.Load()
	}
	c.into(&s)
	switch {
	case counted != nil:
		s.Command = strings.Join(w.o.Command, " ")
		return s, code, nil
	case s.Pending+s.InDoubt > 0 && code != 0:
		s.Command = strings.Join(w.o.Command, " ")
		return s, code, nil
	case s.Pending+s.InDoubt > 0:
		s.Command = strings.Join(w.o.Command, " ")
		return s, stopped, nil
	case s.Failed > 0:
		code = someFailed
	default:
		code = complete
	}
	s.Stopped = ""
	return s, code, nil
}

// persistFor is persist for at most d.
func persistFor(ctx context.Context, d time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return persist(ctx, fn)
}

// Progress returns the progress of the batch, over all workers.
func (w *work) Progress() batch.Progress {
	p, c := w.shared.Progress(), w.counts.Load()
	p.Rows, p.Done, p.Failed, p.InDoubt = c.Rows, c.Done, c.Failed, c.InDoubt
	p.Ended, p.Deferred, p.Spent = c.Done+c.Failed, c.PutOff, c.CostUSD
	if p.PerSecond > 0 {
		p.Left = time.Duration(float64(p.Rows-p.Ended) / p.PerSecond * float64(time.Second) /
			float64(max(c.Workers, 1)))
	}
	return p
}

// Limits returns the limits in force, of all workers and of this process.
func (w *work) Limits() []limit.Snapshot { return w.pace.limits(w.shared.Limits()) }
