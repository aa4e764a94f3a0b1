package batch

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/llm"
)

// job is a row to be sent.
type job struct {
	row      rows.Row
	attempts int           // made in earlier rounds of this run
	pause    time.Duration // before this round
	again    bool          // the row was in doubt
	began    time.Time     // of this round
}

// fate is what becomes of a row after a round.
type fate int

const (
	succeeded fate = iota
	gaveUp         // to the errors
	putOff         // to be sent again in this run
	returned       // the account is at fault: pending, and the batch stops
	unsent         // the budget is used up: pending, and the batch stops
	cutOff         // the batch ended in the middle: in doubt
)

// verdict is the outcome of a round.
type verdict struct {
	fate     fate
	line     []byte // of the results or the errors
	code     string // of the error
	why      string // for people
	undone   bool   // the server certainly has not acted
	attempts int
	wait     time.Duration // before other rows.Rows are sent
	seconds  float64
	usage    llm.Usage
	cost     money.Amount
}

const (
	stoppedInDoubt = "in doubt"
	codeInDoubt    = "in_doubt"
)
