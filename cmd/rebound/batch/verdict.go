package batch

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/llm"
)

// fate is what becomes of a row after a round.
type fate int

const (
	succeeded fate = iota
	gaveUp         // to the errors
	putOff         // to be sent again in this run
	returned       // the account is at fault: pending, and the batch stops
	unsent         // the budget is used up or the batch stops: pending
	cutOff         // the batch ended in the middle
)

// verdict is the outcome of a round.
type verdict struct {
	fate     fate
	line     []byte // of the results or the errors
	code     string // of the error
	why      string // for people
	sent     bool   // the journal has it as sent
	doubt    bool   // that stays so: the server may have acted
	attempts int
	wait     time.Duration // before other rows are sent
	seconds  float64
	limited  time.Duration // of them: waited for a turn
	backoff  time.Duration // of them: waited before retries
	usage    llm.Usage
	cost     money.Amount // of all attempts
}

const (
	stoppedInDoubt = "in doubt"
	codeInDoubt    = "in_doubt"
)
