package fleet

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/limit"
)

// exchanges is the time between exchanges of counts and limits with the other workers. After a
// failed row, an exchange happens at once.
const exchanges = 250 * time.Millisecond

// ended counts the rows that have ended since the last exchange.
type ended struct {
	mu     sync.Mutex
	rows   int
	failed int
	mixed  bool   // not all rows failed with the same code
	code   string // of the first failure
	why    string
	wake   chan struct{} // has an element after a failure; it wakes watch
}

// add counts a row.
func (e *ended) add(out batch.Round) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rows++
	if !out.Failed {
		e.mixed = true
		return
	}
	e.failed++
	if e.code == "" {
		e.code, e.why = storable(out.Code), storable(out.Why)
	}
	e.mixed = e.mixed || storable(out.Code) != e.code
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// addEnded adds to the counts of a run. It does nothing if a worker has stopped the run.
const addEnded = `UPDATE rebound.batch SET run_ended = run_ended + $3, run_failed = run_failed + $4,
		run_mixed = run_mixed OR $5 OR run_code NOT IN ('', $6),
		run_code = CASE run_code WHEN '' THEN $6 ELSE run_code END,
		run_why = CASE run_code WHEN '' THEN $7 ELSE run_why END
	WHERE name = $1 AND stops = $2`

// publish adds the counts to those in the database, and resets them.
func (e *ended) publish(ctx context.Context, db *DB, b info) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rows == 0 {
		return nil
	}
	_, err := db.quick.Exec(ctx, addEnded, b.name, b.stops, e.rows, e.failed, e.mixed, e.code, e.why)
	if err == nil {
		e.rows, e.failed, e.mixed, e.code, e.why = 0, 0, false, "", ""
	}
	return err
}

// endRun resets the counts of a run.
const endRun = `run_ended = 0, run_failed = 0, run_mixed = false, run_code = '', run_why = ''`

// lookAround reads what all workers share: the stops, the counts, and the limits.
const lookAround = `SELECT stops, stop_reason,
		run_ended, run_failed, NOT run_mixed, run_code, run_why,
		coalesce(p.name, ''), coalesce(requests, 0), coalesce(tokens, 0),
		coalesce(extract(epoch FROM rests_until - clock_timestamp())::float8, 0)
	FROM rebound.batch b LEFT JOIN rebound.pace p ON p.batch = b.name WHERE b.name = $1`

const learnedRates = `INSERT INTO rebound.pace AS p (batch, name, requests, tokens)
	VALUES ($1, $2, $3, $4) ON CONFLICT (batch, name) DO UPDATE
		SET requests = CASE WHEN $3 > 0 THEN $3 ELSE p.requests END,
			tokens = CASE WHEN $4 > 0 THEN $4 ELSE p.tokens END`

// publish stores the limits that this process has learned since the last time.
func (p *pacer) publish(ctx context.Context, limits []limit.Snapshot) error {
	for _, l := range limits {
		var n rates
		name, ok := strings.CutSuffix(l.Name, " requests")
		if ok {
			n.requests = l.Limit * 60
		} else if name, ok = strings.CutSuffix(l.Name, " tokens"); ok {
			n.tokens = l.Limit * 60
		}
		name = storable(name)
		if !ok || l.Kind != "rate" || !p.isNew(name, n) {
			continue
		}
		if _, err := p.db().quick.Exec(ctx, learnedRates, p.batch, name, n.requests,
			n.tokens); err != nil {
			return err
		}
		p.mu.Lock()
		one := p.of(name)
		one.published, one.shared = n.or(one.published), n.or(one.shared)
		p.mu.Unlock()
	}
	return nil
}

// isNew reports whether a limit differs from the one that this process published last. So an old
// limit does not replace a newer one of another worker.
func (p *pacer) isNew(name string, n rates) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of(name)
	return n.or(one.published) != one.published
}

// takeUp adopts the limits of a name, and the rest of its Retry-After delay, from the database.
func (p *pacer) takeUp(name string, learned rates, rest time.Duration) {
	if name == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.of(name)
	one.shared = learned
	if until := time.Now().Add(rest); rest > 0 && until.Sub(one.until) > clockError {
		one.until = until
	}
}

// limits returns the limits in force. Its rates are those of all workers, in place of own's.
func (p *pacer) limits(own []limit.Snapshot) (all []limit.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range own {
		if l.Kind != "rate" {
			all = append(all, l)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.paces)) {
		n := p.given.or(p.paces[name].shared)
		for _, l := range []limit.Snapshot{
			{Name: name + " requests", Kind: "rate", Limit: n.requests / 60},
			{Name: name + " tokens", Kind: "rate", Limit: n.tokens / 60},
		} {
			if i := slices.IndexFunc(own, func(o limit.Snapshot) bool { return o.Name == l.Name }); i >= 0 {
				l.Level, l.Waiting, l.Rejected = own[i].Level, own[i].Waiting, own[i].Rejected
			}
			if l.Limit > 0 {
				all = append(all, l)
			}
		}
	}
	return all
}
