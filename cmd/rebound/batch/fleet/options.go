package fleet

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// Exit codes of work, beside 124 and those of signals.
const (
	complete   = 0
	someFailed = 1
	stopped    = 75
	own        = 125
)

// Options are those of a worker.
type Options struct {
	batch.Options
	Name   string        // of the batch; empty = the only one
	Lease  time.Duration // until others take the rows of a worker that is away; 0 = Lease
	Notice func(string)  // is called with a line that is worth a user's attention
}

const (
	// Lease is how long a worker may be away by default until others take its rows. They look for such
	// workers every tenth of it, so the rows are sent again within a minute.
	Lease = 40 * time.Second

	longestBeat = time.Second
)

const (
	lastWrites = 750 * time.Millisecond // that rows which were cut off may take to be stored
	lastLook   = 250 * time.Millisecond // for what else asks the database in the end
)

// sessionConns is how many connections a session has to take, mark and end rows.
const sessionConns = 6

// Failures to store rows are reported.
const (
	reportAfter = 2 * time.Second
	reportEvery = time.Minute
)

const budgetPause = 100 * time.Millisecond
