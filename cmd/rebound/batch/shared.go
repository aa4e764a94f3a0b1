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

// Shared sends the rows of a batch on which several processes work. The rows, and what is known of
// them, are somewhere else: the caller gives each row to Round, and stores what comes of it.
type Shared struct{ r run }

// NewShared returns a Shared for the batch of that key. The limits of the options are the pacer's.
func NewShared(o Options, key store.Key, mark Mark, pace Pacer) (*Shared, error) {
	o.defaults()
	o.Requests, o.Tokens = 0, 0 // those of the process are learned
	b := &batch{o: o, began: time.Now(), secrets: secrets.Set{}.With(o.Secret...), key: key,
		mark: mark, pace: pace}
	b.requests.Header, b.requests.IdempotencyAs, b.requests.Key = o.Header, o.IdempotencyAs, key
	b.in = &rows.Input{Where: targets(o)}
	var err error
	if b.in.Files, err = rows.OpenAttachments(o.Files); err != nil {
		return nil, fmt.Errorf("--files: %w", err)
	}
	if o.Prices != "" {
		if b.prices, err = money.ReadPrices(o.Prices); err != nil {
			return nil, fmt.Errorf("--prices: %w", err)
		}
	}
	if o.Budget > 0 && b.prices == nil {
		return nil, errNoPrices
	}
	s := &Shared{run{batch: b, tally: newTally(store.NewTable(0))}}
	s.r.sender = newSender(b)
	return s, nil
}

// Serve calls work, and returns when it does. feeding ends when no further row is to be sent: at
// the deadline, at a signal, and by Stop. calls ends after the grace, or at a second signal.
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

// Stop has the process stop; the first reason counts. An exit code of 125 is a failure of its own.
func (s *Shared) Stop(code int, why string) { s.r.halt.stop(code, why) }

// Stopped returns why the process stops; 0 if it does not.
func (s *Shared) Stopped() (code int, why string) { return s.r.halt.reason() }

// Parse reads a row of the batch again.
func (s *Shared) Parse(line []byte) (rows.Row, error) { return s.r.in.Parse(line) }

// Bound returns an error if the cost of a row has no bound.
func (s *Shared) Bound(r rows.Row) error {
	_, err := s.r.prices.Most(s.r.requests.Of(r, r.Body))
	return err
}

// Redo reports whether a row in doubt is sent again.
func (s *Shared) Redo(r rows.Row) bool { return s.r.redo(r) }

// Round is what came of a row.
type Round struct {
	Ended    bool // Line is its line
	Failed   bool // in the errors
	Line     []byte
	Code     string // of the error
	Why      string // for people
	Again    bool   // it is as it was: it is in doubt, and was not sent
	PutOff   bool   // it is to be sent again after Wait
	Doubt    bool   // the server may have acted on it
	Attempts int    // of all rounds
	Cost     money.Amount
	Wait     time.Duration // before the next round

	v verdict
}

// longestLine is how long a line may be. PostgreSQL takes values of half a gigabyte and no more.
const longestLine = 256 << 20

// Round sends a row. It stops the process if the account is at fault or the budget is used up.
func (s *Shared) Round(ctx context.Context, one queue.Job) Round {
	j := one
	j.Attempts = min(one.Attempts, s.r.o.RowAttempts-1)
	w, stop := s.r.sender.newWorker(ctx)
	defer stop()
	a := w.send(j)
	v := s.r.outcome(ctx, j, a)
	a.settlePace(v.usage)
	if len(v.line) > longestLine {
		v.fate, v.code = gaveUp, "response_too_large"
		v.why = fmt.Sprintf("the line has %d MB, and the database stores at most %d", len(v.line)>>20,
			longestLine>>20)
		v.line = s.r.line(j, answer{call: a.call}, v)
	}
	s.r.tally.end(j, v)
	out := Round{Ended: v.fate == succeeded || v.fate == gaveUp, Failed: v.fate == gaveUp,
		Line: v.line, Code: v.code, Why: v.why, Again: j.Again && v.attempts == 0,
		Doubt: v.doubt, Attempts: one.Attempts + v.attempts, Cost: v.cost, v: v}
	switch v.fate {
	case putOff:
		out.PutOff = true
		out.Wait = max(v.wait, pauseAfter(out.Attempts))
	case returned:
		s.Stop(exitStopped, "a fault of the account: "+v.why)
	}
	return out
}

// pauseAfter is the pause of a row that was put off: twice as long with each round.
func pauseAfter(attempts int) time.Duration {
	return min(queue.FirstPause<<min(attempts/3, 10), queue.LongestPause)
}

// Hold returns the outcome of a row in doubt that is not sent again.
func (s *Shared) Hold(one queue.Job) Round {
	v := s.r.heldBack(one.Row, one.Lost)
	s.r.tally.heldBack(one.Row, v)
	return Round{Ended: true, Failed: true, Line: v.line, Code: v.code, Why: v.why,
		Attempts: one.Attempts, Cost: one.Lost, v: v}
}

// Stored counts a row whose line is stored.
func (s *Shared) Stored(out Round) { s.r.tally.ended(out.v) }

// Judge stops the process if too many rows have failed, or the first all for one reason.
func (s *Shared) Judge(e Ended) { s.r.judge(e) }

// Summary is what this process did: its counts of rows are not the batch's.
func (s *Shared) Summary() Summary { return s.r.summary() }

// Progress is what this process does now: of its fields InFlight, Tokens and PerSecond.
func (s *Shared) Progress() Progress {
	t := s.r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Progress{InFlight: len(s.r.sender.places), Tokens: [2]float64{t.input, t.output}}
	if took := time.Since(s.r.began).Seconds(); took > 0 {
		p.PerSecond = float64(t.ends) / took
	}
	return p
}

// Limits returns the limits in force in this process.
func (s *Shared) Limits() []limit.Snapshot { return s.r.Limits() }
