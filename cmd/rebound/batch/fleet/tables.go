package fleet

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
