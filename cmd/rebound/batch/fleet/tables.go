package fleet

// The states of a row.
const (
	pending = iota
	sent    // marked, without a result: in flight, or in doubt when its holder is gone
	putOff  // a process has seen it fail; the server may have acted, and it may be sent again
	done
	failed
)

// isGone is whether a worker was away for longer than its lease. No worker could beat before the
// server was started.
const isGone = "greatest(seen, pg_postmaster_start_time()) < now() - lease"

// tables are made in the order in which they refer to each other. Amounts are in billionths of a
// dollar.
const tables = `
CREATE TABLE rebound.batch (
	name        text PRIMARY KEY,
	key         bytea NOT NULL,
	hosts       jsonb NOT NULL DEFAULT '{}',
	loaded      timestamptz NOT NULL DEFAULT now(),
	stops       integer NOT NULL DEFAULT 0, -- how often a process has stopped all of them
	stop_reason text NOT NULL DEFAULT '',

	-- What has ended since the first of the workers of now began.
	run_ended  integer NOT NULL DEFAULT 0,
	run_failed integer NOT NULL DEFAULT 0,
	run_mixed  boolean NOT NULL DEFAULT false, -- not all failed with one code
	run_code   text NOT NULL DEFAULT '',
	run_why    text NOT NULL DEFAULT '',

	spent       bigint NOT NULL DEFAULT 0, -- by rows that have ended
	reserved    bigint NOT NULL DEFAULT 0  -- by the others: the sum of row.reserved
);
CREATE TABLE rebound.pace (
	batch       text NOT NULL REFERENCES rebound.batch ON DELETE CASCADE,
	name        text NOT NULL, -- a model, or a host
	requests    float8 NOT NULL DEFAULT 0, -- learned, per minute; 0 = unknown
	tokens      float8 NOT NULL DEFAULT 0,
	requests_at timestamptz NOT NULL DEFAULT now(), -- the next turn
	tokens_at   timestamptz NOT NULL DEFAULT now(),
	rests_until timestamptz NOT NULL DEFAULT now(), -- as the server has asked for
	PRIMARY KEY (batch, name)
);
CREATE TABLE rebound.row (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	batch     text NOT NULL REFERENCES rebound.batch ON DELETE CASCADE,
	custom_id bytea NOT NULL, -- of any length, which an index could not have
	digest    bigint NOT NULL, -- of the line
	line      bytea NOT NULL,  -- of the input
	state     smallint NOT NULL DEFAULT 0, -- pending, sent, put off, done, failed
	holder    text, -- the worker that has the row
	attempts  integer NOT NULL DEFAULT 0,
	repeats   integer NOT NULL DEFAULT 0, -- after it was in doubt
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
	lease interval NOT NULL -- until others take its rows
);`
