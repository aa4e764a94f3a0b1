package batch

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/llm"
)

// A fate is what happens to a row after a round.
type fate int

const (
	succeeded fate = iota
	gaveUp         // the row is an error
	putOff         // the row is sent again in this run
	returned       // the account is at fault: the row stays pending, and the batch stops
	unsent         // the budget is used up or the batch stops: the row stays pending
	cutOff         // the batch ended during the round
)

// verdict is the outcome of a round.
type verdict struct {
	fate     fate
	line     []byte // for the results or the errors; nil = the row has not ended
	code     string // the error's
	why      string // the error's message
	sent     bool   // the row is marked as sent
	doubt    bool   // the server may have acted, so the mark stays
	attempts int
	wait     time.Duration // until other rows may be sent
	seconds  float64
	limited  time.Duration // the part of seconds spent waiting for permits
	backoff  time.Duration // the part of seconds spent waiting before retries
	usage    llm.Usage
	cost     money.Amount // of all attempts, in all rounds
}

// state returns the state in which the next run finds the row.
func (v verdict) state() store.State {
	if v.doubt {
		return store.InDoubt
	}
	return map[fate]store.State{succeeded: store.Done, gaveUp: store.Failed}[v.fate]
}

const (
	stoppedInDoubt = "in doubt"
	codeInDoubt    = "in_doubt"
)
