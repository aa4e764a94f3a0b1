package fleet

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// Counts has the counts of a batch, over all workers and runs.
type Counts struct {
	Rows, Done, Failed int
	InDoubt            int // rows that were sent, have no result, and that no worker holds
	InFlight           int // rows that workers hold
	PutOff             int
	Repeated           int
	Attempts           int64
	Workers            int
	CostUSD            float64
	Reasons            []batch.Reason
}

// Status is the state of a batch.
type Status struct {
	Batch string `json:"batch"` // its name
	batch.Summary
	Workers  int `json:"workers"`   // that have not ended, and whose loss no other worker has noticed
	InFlight int `json:"in_flight"` // rows that these workers hold
}

// Status returns the state of the batch of that name. Without a name, it is the only batch.
func (d *DB) Status(ctx context.Context, name string) (s Status, err error) {
	b, err := d.find(ctx, name)
	if err != nil {
		return s, err
	}
	c, err := d.counts(ctx, b.name)
	if err != nil {
		return s, d.own(err)
	}
	s = Status{Batch: b.name, Workers: c.Workers, InFlight: c.InFlight}
	c.into(&s.Summary)
	return s, nil
}

// into sets the counts in a report.
func (c Counts) into(s *batch.Summary) {
	s.Rows, s.Done, s.Failed, s.InDoubt, s.Repeated = c.Rows, c.Done, c.Failed, c.InDoubt, c.Repeated
	s.Pending = s.Rows - s.Done - s.Failed - s.InDoubt
	s.Attempts, s.CostUSD, s.Reasons, s.Deferred = c.Attempts, c.CostUSD, c.Reasons, c.PutOff
}

const countRows = `SELECT count(*), count(*) FILTER (WHERE state = 3),
		count(*) FILTER (WHERE state = 4),
		count(*) FILTER (WHERE state IN (1, 2) AND w.id IS NULL),
		count(*) FILTER (WHERE w.id IS NOT NULL), count(*) FILTER (WHERE state = 2),
		coalesce(sum(repeats), 0), coalesce(sum(attempts), 0),
		(SELECT count(*) FROM rebound.worker WHERE batch = $1),
		(SELECT spent FROM rebound.batch WHERE name = $1) +
			coalesce(sum(reserved) FILTER (WHERE w.id IS NULL), 0)
	FROM rebound.row r LEFT JOIN rebound.worker w ON w.id = r.holder WHERE r.batch = $1`

const countReasons = `SELECT code, count(*), (array_agg(custom_id ORDER BY id))[1], min(why)
	FROM rebound.result JOIN rebound.row ON id = row WHERE batch = $1 AND failed
	GROUP BY code ORDER BY count(*) DESC, code`

// counts reads the counts, in one snapshot.
func (d *DB) counts(ctx context.Context, name string) (c Counts, err error) {
	err = pgx.BeginTxFunc(ctx, d.quick, snapshot, func(tx pgx.Tx) error {
		var cost money.Amount
		if err := tx.QueryRow(ctx, countRows, name).Scan(&c.Rows, &c.Done, &c.Failed, &c.InDoubt,
			&c.InFlight, &c.PutOff, &c.Repeated, &c.Attempts, &c.Workers, &cost); err != nil {
			return err
		}
		c.CostUSD = cost.USD()
		found, err := tx.Query(ctx, countReasons, name)
		if err != nil {
			return err
		}
		c.Reasons, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (r batch.Reason, err error) {
			var id []byte
			err = row.Scan(&r.Code, &r.Rows, &id, &r.Message)
			r.Example = string(id)
			return r, err
		})
		return err
	})
	return c, err
}

// snapshot reads the database as it is at the beginning of the transaction.
var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
