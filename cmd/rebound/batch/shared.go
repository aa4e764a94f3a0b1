package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/limit"
)

// Shared sends rows of a batch that several processes share. The caller stores the rows: it passes
// each one to Round, and stores the outcome.
type Shared struct{ r run }

// NewShared returns a Shared. Options.Requests and Options.Tokens are ignored: pace applies the
// shared limits.
func NewShared(o Options, mark Mark, pace Pacer) (*Shared, error) {
	o.defaults()
	o.Requests, o.Tokens = 0, 0 // the limits of this process are learned
	b := &batch{o: o, began: time.Now(), secrets: secrets.Set{}.With(o.Secret...),
		mark: mark, pace: pace}
	if err := b.configure(); err != nil {
		return nil, err
	}
	if o.Budget > 0 && b.prices == nil {
		return nil, errNoPrices
	}
	s := &Shared{run{batch: b, tally: newTally(store.NewTable(0))}}
	s.r.sender = newSender(b)
	return s, nil
}

// Use sets the key of the batch. It must be called before Round.
func (s *Shared) Use(key store.Key) { s.r.key = key }

// Serve calls work, and returns after work has returned. feeding ends when no more rows may be
// sent: at the deadline, at a signal, or by Stop. calls ends after the grace, or at a second
// signal.
func (s *Shared) Serve(ctx context.Context, work func(feeding, calls context.Context)) {
	feeding, stop := context.WithCancel(ctx)
	calls, cut := context.WithCancel(ctx)
	s.r.halt.feed, s.r.feeding = stop, feeding
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.r.watch(feeding, calls, cut)
	}()
	work(feeding, calls)
	stop()
	cut()
	<-watched
}

// Stop stops the process. The first reason counts. Exit code 125 means that rebound itself failed.
func (s *Shared) Stop(code int, why string) { s.r.halt.stop(code, why) }

// Stopped returns why the process stops. The code is 0 if it does not.
func (s *Shared) Stopped() (code int, why string) { return s.r.halt.reason() }

// Parse reads a row from its line in the input.
func (s *Shared) Parse(line []byte) (rows.Row, error) { return s.r.in.Parse(line) }

// Bound returns an error if the cost of a row has no bound.
func (s *Shared) Bound(r rows.Row) error {
	_, err := s.r.prices.Most(s.r.requests.Of(r, r.Body))
	return err
}

// Redo reports whether a row in doubt may be sent again.
func (s *Shared) Redo(r rows.Row) bool { return s.r.redo(r) }

// Round is the outcome of one round of a row.
type Round struct {
	Ended    bool // the row has ended, and Line is its line
	Failed   bool // Line is an error
	Line     []byte
	Code     string // of the error
	Why      string // the error's message
	Again    bool   // the row was in doubt before, and was not sent now
	PutOff   bool   // the row is sent again after Wait
	Doubt    bool   // the server may have acted on the row
	Attempts int    // in all rounds
	Cost     money.Amount
	Wait     time.Duration // before the next round
	Rest     time.Duration // before this process sends another row

	v verdict
}

// longestLine bounds a line in bytes. PostgreSQL stores values of at most 1 GB, and its text form
// of bytes takes twice their length.
const longestLine = 256 << 20

// Round sends a row. It stops the process if the account is at fault.
func (s *Shared) Round(ctx context.Context, one queue.Job) Round {
	j := one
	j.Attempts = min(one.Attempts, s.r.o.RowAttempts-1)
	w, stop := s.r.sender.newWorker(ctx)
	defer stop()
	a := w.send(&j)
	v := s.r.outcome(ctx, &j, &a)
	a.settlePace(v.usage)
	if len(v.line) > longestLine {
		v.fate, v.code = gaveUp, "response_too_large"
		v.why = fmt.Sprintf("the result has %d MB, and the database stores at most %d", len(v.line)>>20,
			longestLine>>20)
		v.line = s.r.line(&j, &answer{call: a.call}, v)
	}
	s.r.tally.end(&j, v)
	out := Round{Ended: v.fate == succeeded || v.fate == gaveUp, Failed: v.fate == gaveUp,
		Line: v.line, Code: v.code, Why: v.why, Again: j.Again && v.attempts == 0,
		Doubt: v.doubt, Attempts: one.Attempts + v.attempts, Cost: v.cost, v: v}
	switch v.fate {
	case putOff:
		out.PutOff = true
		out.Rest = min(v.wait, s.r.sender.service.Left())
		out.Wait = max(out.Rest, queue.PauseAfter(out.Attempts))
	case returned:
		s.Stop(exitStopped, "a fault of the account: "+v.why)
	}
	return out
}

// Hold returns the error of a row in doubt that is not sent again.
func (s *Shared) Hold(one queue.Job) Round {
	v := s.r.heldBack(one.Row, one.Lost)
	s.r.tally.heldBack(one.Row, v)
	return Round{Ended: true, Failed: true, Line: v.line, Code: v.code, Why: v.why,
		Attempts: one.Attempts, Cost: one.Lost, v: v}
}

// Stored counts a row after its line was stored.
func (s *Shared) Stored(out Round) { s.r.tally.ended(out.v) }

// Judge stops the process if too many rows failed, or if the first rows all failed with one code.
func (s *Shared) Judge(e Ended) { s.r.judge(e) }

// Summary returns what this process did. Its counts of rows are not those of the batch.
func (s *Shared) Summary() Summary { return s.r.summary() }

// Progress returns what this process does now. Only InFlight, Tokens and PerSecond are set.
func (s *Shared) Progress() Progress {
	t := s.r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	return Progress{InFlight: len(s.r.sender.places), Tokens: [2]float64{t.input, t.output},
		PerSecond: t.pace.PerSecond(s.r.began, time.Now(), t.ends)}
}

// Limits returns the limits in force in this process.
func (s *Shared) Limits() []limit.Snapshot { return s.r.Limits() }
