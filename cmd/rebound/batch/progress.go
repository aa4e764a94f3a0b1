package batch

import (
	"strings"
	"time"

	"github.com/rebound-go/rebound/limit"
)

// Progress returns the state of the batch. A row has ended when its line is written.
func (b *run) Progress() Progress {
	t, unwritten := b.tally, b.store.Unwritten()
	limits := b.Limits()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Progress{
		Rows: t.rows, Ended: t.done + t.failed - unwritten, Done: t.done, Failed: t.failed,
		InDoubt: t.doubt, InFlight: len(b.sender.places), Deferred: b.queue.Deferred(),
		Spent: b.purse.Total().USD(), Tokens: [2]float64{t.input, t.output},
		Away: b.sender.service.Away(),
	}
	p.PerSecond = t.pace.PerSecond(b.began, time.Now(), t.ends)
	rate, allowed := p.PerSecond, 0.0
	for _, s := range limits {
		if s.Waiting > 0 && strings.HasSuffix(s.Name, "requests") {
			allowed += s.Limit
		}
	}
	if allowed > 0 && b.sender.quota.Saturated() {
		rate = allowed // rows of each model wait, so the limits set the rate from now on
	}
	if rate > 0 {
		p.Left = time.Duration(float64(p.Rows-p.Ended) / rate * float64(time.Second))
	}
	return p
}

// Limits returns the limits in force.
func (b *run) Limits() (all []limit.Snapshot) {
	for s := range b.sender.quota.Snapshots() {
		all = append(all, s)
	}
	flight := b.sender.flight.Snapshot()
	flight.Limit = min(flight.Limit, float64(b.o.MaxInFlight)) // not those marked early
	return append(all, flight)
}

// summary returns the report of the batch as it is now.
func (b *run) summary() Summary {
	if b.tally == nil {
		return Summary{}
	}
	t := b.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Summary{
		Rows: t.rows, Done: t.done, Failed: t.failed, InDoubt: t.doubt,
		Repeated: t.repeated, Attempts: t.attempts, CostUSD: b.purse.Total().USD(),
		Seconds: time.Since(b.began).Round(time.Millisecond).Seconds(), Deferred: t.deferred,
		Tokens: [2]float64{t.input, t.output}, FailedUSD: t.lost.USD(),
		Changed: b.before.Changed, Foreign: b.before.Foreign, Reasons: sortedReasons(t.reasons),
		Generation: b.before.Generation, Waited: Waits{t.limited.Seconds(), t.backoff.Seconds()},
	}
	s.Pending = s.Rows - s.Done - s.Failed - s.InDoubt
	_, s.Stopped = b.halt.reason()
	if s.Pending+s.InDoubt > 0 {
		s.Command = strings.Join(b.o.Command, " ")
	}
	if b.sender != nil {
		s.Limits = b.Limits()
	}
	return s
}
