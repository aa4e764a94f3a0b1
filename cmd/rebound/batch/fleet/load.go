package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// Loaded counts what a load did.
type Loaded struct {
	Batch   string
	Rows    int // in the input
	Added   int
	Updated int // rows that were not sent yet, and got a new line
	Changed int // rows whose line in the input differs from the one that was sent
	Missing int // rows of the batch that are not in the input
	Retried int
}

// rowArgs are the arguments of a row's job.
type rowArgs struct {
	Row int64 `json:"row"`
}

// Kind implements river.JobArgs.
func (rowArgs) Kind() string { return "rebound_batch_row" }

// unknown stands for --base if load does not have it. The workers' --base applies.
var unknown = &url.URL{Scheme: "https", Host: "base.invalid"}

// Load checks an input, and adds its new rows to the batch of that name. It creates the tables and
// the batch if necessary. Without a name, the batch is named after the file. Then a batch with
// another input is an error, because files in two folders may have the same name.
func Load(ctx context.Context, d *DB, name string, o batch.Options) (l Loaded, err error) {
	in := &rows.Input{Name: o.Input, Where: rows.Targets{Base: o.Base}}
	if o.Base == nil {
		in.Where.Base = unknown
	}
	for _, u := range o.Allow {
		in.Where.Allowed = append(in.Where.Allowed, rows.Origin(u))
	}
	dir, err := os.MkdirTemp("", "rebound-")
	if err != nil {
		return l, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := in.Open(o.Stdin, filepath.Join(dir, "input")); err != nil {
		return l, err
	}
	defer func() { _ = in.Close() }()
	if in.Files, err = rows.OpenAttachments(o.Files); err != nil {
		return l, fmt.Errorf("--files: %w", err)
	}
	var key store.Key
	_, _ = rand.Read(key[:]) // never fails
	survey, err := in.Check(key)
	if err != nil {
		return l, err
	}
	if err := d.migrate(ctx); err != nil {
		return l, d.own(err)
	}
	l = Loaded{Batch: cmp.Or(name, NameOf(o.Input)), Rows: survey.Table.Len()}
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		return (&loading{Loaded: &l, tx: tx, in: in, o: o, named: name != "", key: key,
			hosts: map[string]int{}}).run(ctx, d)
	})
	if errors.Is(err, rows.ErrChanged) || errors.Is(err, errOther) {
		return l, err
	}
	return l, d.own(err)
}

// loading is the transaction of a load.
type loading struct {
	*Loaded
	tx  pgx.Tx
	in  *rows.Input
	o   batch.Options
	key store.Key

	named bool           // the user gave the name
	hosts map[string]int // number of rows by origin
}

func (l *loading) run(ctx context.Context, d *DB) error {
	_, err := l.exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "rebound "+l.Batch)
	if err != nil {
		return err
	}
	if _, err := l.exec(ctx, `INSERT INTO rebound.batch (name, key) VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, l.Batch, l.key[:]); err != nil {
		return err
	}
	if err := l.copy(ctx); err != nil {
		return err
	}
	if err := l.recognize(ctx); err != nil {
		return err
	}
	if err := l.retry(ctx); err != nil {
		return err
	}
	if err := l.merge(ctx); err != nil {
		return err
	}
	if err := l.jobs(ctx, d); err != nil {
		return err
	}
	// This comes last, because it blocks workers until the transaction ends.
	_, err = l.exec(ctx, "UPDATE rebound.batch SET hosts = hosts || $2 WHERE name = $1", l.Batch,
		l.hosts)
	return err
}

func (l *loading) exec(ctx context.Context, sql string, args ...any) (int, error) {
	tag, err := l.tx.Exec(ctx, sql, args...)
	return int(tag.RowsAffected()), err
}

// copy copies the input to a temporary table.
func (l *loading) copy(ctx context.Context) error {
	if _, err := l.exec(ctx, `CREATE TEMPORARY TABLE incoming (nr bigint, custom_id bytea,
		digest bigint, line bytea) ON COMMIT DROP`); err != nil {
		return err
	}
	var failure error
	next, stop := iter.Pull(func(yield func([]any) bool) {
		failure = l.in.Scan(func(n int, r rows.Row, err error) error {
			if err != nil {
				return errors.Join(rows.ErrChanged, err)
			}
			l.hosts[l.origin(r)]++
			if !yield([]any{n, []byte(r.ID), int64(r.Key.Digest), r.Line}) {
				return context.Canceled
			}
			return nil
		})
	})
	defer stop()
	_, err := l.tx.CopyFrom(ctx, pgx.Identifier{"incoming"},
		[]string{"nr", "custom_id", "digest", "line"}, pgx.CopyFromFunc(func() ([]any, error) {
			if values, ok := next(); ok {
				return values, nil
			}
			return nil, failure
		}))
	if err != nil {
		return err
	}
	_, err = l.exec(ctx, "ANALYZE incoming")
	return err
}

var errOther = errors.New("has another input")

// recognize returns errOther if the batch seems to have another input. That is so if the two share
// fewer than half of the rows of the smaller one.
func (l *loading) recognize(ctx context.Context) error {
	if l.named {
		return nil
	}
	var have, same int
	err := l.tx.QueryRow(ctx, `SELECT count(*), count(i.nr) FROM rebound.row r LEFT JOIN incoming i
		ON i.custom_id = r.custom_id AND i.digest = r.digest WHERE r.batch = $1`, l.Batch).
		Scan(&have, &same)
	if err == nil && 2*same < min(have, l.Rows) {
		err = fmt.Errorf("the batch %s %w: only %d of its %d rows are in %s; want --batch with a new "+
			"name, or --batch %[1]s to add the rows to it", l.Batch, errOther, same, have, l.in.Name)
	}
	return err
}

// origin returns the origin that a row goes to. It is empty if the row's URL has no host.
func (l *loading) origin(r rows.Row) string {
	if u, err := url.Parse(r.URL); err == nil && u.Host == "" {
		return ""
	}
	return rows.Origin(r.Target)
}

// merge adds new rows, updates rows that were not sent yet, and counts the others.
func (l *loading) merge(ctx context.Context) (err error) {
	if l.Added, err = l.exec(ctx, `INSERT INTO rebound.row (batch, custom_id, digest, line)
		SELECT $1, custom_id, digest, line FROM incoming ORDER BY nr ON CONFLICT DO NOTHING`,
		l.Batch); err != nil {
		return err
	}
	if l.Updated, err = l.exec(ctx, `UPDATE rebound.row r SET digest = i.digest, line = i.line
		FROM incoming i WHERE r.batch = $1 AND r.custom_id = i.custom_id AND r.digest <> i.digest
			AND r.state = 0 AND r.holder IS NULL`, l.Batch); err != nil {
		return err
	}
	return l.tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE r.digest <> i.digest),
			count(*) FILTER (WHERE i.nr IS NULL)
		FROM rebound.row r LEFT JOIN incoming i ON i.custom_id = r.custom_id WHERE r.batch = $1`,
		l.Batch).Scan(&l.Changed, &l.Missing)
}

// retry makes failed rows pending again, if --retry is set.
func (l *loading) retry(ctx context.Context) (err error) {
	if !l.o.RetryFailed && !l.o.RetryInDoubt {
		return nil
	}
	l.Retried, err = l.exec(ctx, `WITH gone AS (
			DELETE FROM rebound.result USING rebound.row r
			WHERE row = r.id AND r.batch = $1 AND failed
				AND CASE WHEN code = 'in_doubt' THEN $2::boolean ELSE $3::boolean END
			RETURNING row)
		UPDATE rebound.row SET state = 0, attempts = 0 FROM gone WHERE id = gone.row`,
		l.Batch, l.o.RetryInDoubt, l.o.RetryFailed)
	return err
}

// jobs inserts a job for each row that has neither ended nor a job.
func (l *loading) jobs(ctx context.Context, d *DB) error {
	client, err := d.inserter()
	if err != nil {
		return err
	}
	found, err := l.tx.Query(ctx, `SELECT r.id FROM rebound.row r
		WHERE r.batch = $1 AND r.state < 3 AND NOT EXISTS (SELECT 1 FROM rebound.river_job j
			WHERE j.queue = $1 AND (j.args ->> 'row')::bigint = r.id
				AND j.state NOT IN ('completed', 'cancelled', 'discarded'))
		ORDER BY r.id`, l.Batch)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	const most = 5000 // jobs of one insert
	opts := &river.InsertOpts{Queue: l.Batch, MaxAttempts: math.MaxInt16}
	for len(ids) > 0 {
		n := min(most, len(ids))
		params := make([]river.InsertManyParams, n)
		for i, id := range ids[:n] {
			params[i] = river.InsertManyParams{Args: rowArgs{id}, InsertOpts: opts}
		}
		if _, err := client.InsertManyFastTx(ctx, l.tx, params); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
