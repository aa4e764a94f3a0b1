package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// The states of a row.
const (
	pending = iota
	sent    // marked, without a result: in flight, or in doubt if its holder is gone
	putOff  // it failed and will be sent again; the server may have acted
	done
	failed
)

// isGone is true if a worker sent no heartbeat for longer than its lease. The time before the start
// of the server does not count, because workers could not send one.
const isGone = "greatest(seen, pg_postmaster_start_time()) < now() - lease"

// layout is the version of the tables. Increase it here and in the COMMENT below if the tables
// change.
const layout = 1

// tables creates the tables. Amounts are in billionths of a dollar.
const tables = `
CREATE TABLE rebound.batch (
	name        text PRIMARY KEY,
	key         bytea NOT NULL,
	hosts       jsonb NOT NULL DEFAULT '{}',
	loaded      timestamptz NOT NULL DEFAULT now(),
	stops       integer NOT NULL DEFAULT 0, -- how often a worker has stopped all others
	stop_reason text NOT NULL DEFAULT '',

	-- The counts of this run, which began with the first of the current workers.
	run_ended  integer NOT NULL DEFAULT 0,
	run_failed integer NOT NULL DEFAULT 0,
	run_mixed  boolean NOT NULL DEFAULT false, -- not all failed with the same code
	run_code   text NOT NULL DEFAULT '',
	run_why    text NOT NULL DEFAULT '',

	spent       bigint NOT NULL DEFAULT 0, -- the cost of rows that have ended
	reserved    bigint NOT NULL DEFAULT 0  -- the sum of row.reserved
);
COMMENT ON TABLE rebound.batch IS 'layout 1';
CREATE TABLE rebound.pace (
	batch       text NOT NULL REFERENCES rebound.batch ON DELETE CASCADE,
	name        text NOT NULL, -- a model, or a host
	requests    float8 NOT NULL DEFAULT 0, -- learned, per minute; 0 = unknown
	tokens      float8 NOT NULL DEFAULT 0,
	requests_at timestamptz NOT NULL DEFAULT now(), -- the next permit
	tokens_at   timestamptz NOT NULL DEFAULT now(),
	rests_until timestamptz NOT NULL DEFAULT now(), -- the end of a Retry-After delay
	PRIMARY KEY (batch, name)
);
CREATE TABLE rebound.row (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	batch     text NOT NULL REFERENCES rebound.batch ON DELETE CASCADE,
	custom_id bytea NOT NULL, -- of any length, so the index has its hash
	digest    bigint NOT NULL, -- of the line
	line      bytea NOT NULL,  -- of the input
	state     smallint NOT NULL DEFAULT 0, -- pending, sent, put off, done, failed
	holder    text, -- the worker that has the row
	attempts  integer NOT NULL DEFAULT 0,
	repeats   integer NOT NULL DEFAULT 0, -- how often it was sent again after doubt
	reserved  bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX row_id ON rebound.row (batch, sha256(custom_id));
CREATE INDEX row_open ON rebound.row (batch) WHERE state < 3;
CREATE INDEX row_held ON rebound.row (holder) WHERE holder IS NOT NULL;
CREATE TABLE rebound.result (
	row    bigint PRIMARY KEY REFERENCES rebound.row ON DELETE CASCADE,
	failed boolean NOT NULL,
	code   text NOT NULL,
	why    text NOT NULL,
	line   bytea NOT NULL
);
CREATE TABLE rebound.worker (
	id    text PRIMARY KEY,
	batch text NOT NULL REFERENCES rebound.batch ON DELETE CASCADE,
	began timestamptz NOT NULL DEFAULT now(),
	seen  timestamptz NOT NULL DEFAULT now(),
	lease interval NOT NULL -- time without a heartbeat until others take its rows
);`

// The errors of checkVersion.
var (
	errNewTables = errors.New("a newer version of rebound created the tables: want that " +
		"version on all machines")
	errOldTables = errors.New("an older version of rebound created the tables: finish and dump " +
		"the batches with that version, then run DROP SCHEMA rebound CASCADE")
	errOldRiver = errors.New("an older version of rebound created River's tables: run rebound " +
		"batch load with this version, and use it on all machines")
)

// checkVersion returns an error if the tables are of another version. Without tables it returns
// nil.
func (d *DB) checkVersion(ctx context.Context) error {
	var exist bool
	var comment string
	err := d.pool.QueryRow(ctx, `SELECT to_regclass('rebound.worker') IS NOT NULL,
		coalesce(obj_description(to_regclass('rebound.batch'), 'pg_class'), '')`).
		Scan(&exist, &comment)
	if err != nil || !exist {
		return err
	}
	var made, river int
	_, _ = fmt.Sscanf(comment, "layout %d", &made) // without such a comment, made stays 0
	if err := d.pool.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM rebound.river_migration
		WHERE line = 'main'`).Scan(&river); err != nil {
		return err
	}
	m, err := d.migrator()
	if err != nil {
		return err
	}
	all := m.AllVersions()
	switch known := all[len(all)-1].Version; {
	case made > layout, river > known:
		return errNewTables
	case made < layout:
		return errOldTables
	case river < known:
		return errOldRiver
	}
	return nil
}

func (d *DB) migrator() (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{
		Schema: schema, Logger: quiet()})
}

// migrate creates the schema and the tables, and updates River's tables to its current version.
func (d *DB) migrate(ctx context.Context) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// The lock keeps two processes from doing this at the same time.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(7234017283807667300)"); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(7234017283807667300)")
	}()
	if err := ensure(ctx, conn, "to_regnamespace('rebound')", "CREATE SCHEMA rebound"); err != nil {
		return err
	}
	if err := d.checkVersion(ctx); err != nil && !errors.Is(err, errOldRiver) {
		return err
	}
	m, err := d.migrator()
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return ensure(ctx, conn, "to_regclass('rebound.worker')", tables) // the last table
}

// ensure runs sql if name does not exist. IF NOT EXISTS would need the right to create it, even if
// it exists.
func ensure(ctx context.Context, conn *pgxpool.Conn, name, sql string) error {
	var missing bool
	err := conn.QueryRow(ctx, "SELECT "+name+" IS NULL").Scan(&missing)
	if err == nil && missing {
		_, err = conn.Exec(ctx, sql)
	}
	return err
}
