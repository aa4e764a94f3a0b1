package fleet

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// Exit codes of work. There are also 124 and those of signals, see package batch.
const (
	complete   = 0
	someFailed = 1
	stopped    = 75
	own        = 125
)

// Options are the options of a worker.
type Options struct {
	batch.Options
	Name   string        // of the batch; empty = the only one in the database
	Lease  time.Duration // time without a heartbeat after which others take its rows; 0 = Lease
	Notice func(string)  // is called with a line for the user
}

const (
	// Lease is the default of Options.Lease. Workers look for lost ones every tenth of it, so rows are
	// sent again within a minute.
	Lease = 40 * time.Second

	longestBeat = time.Second // between heartbeats
)

const (
	lastWrites = 750 * time.Millisecond // to store the rows that were cut off
	lastLook   = 250 * time.Millisecond // for other queries at the end
)

// sessionConns is how many connections a session uses to claim, mark and finish rows.
const sessionConns = 6

// A failure to store rows is reported after reportAfter, and again every reportEvery.
const (
	reportAfter = 2 * time.Second
	reportEvery = time.Minute
)

const budgetPause = 100 * time.Millisecond // between checks for room in the budget
