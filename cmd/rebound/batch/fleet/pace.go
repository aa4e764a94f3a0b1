package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/internal/clock"
)

const (
	// ahead is how far ahead a worker books permits. A killed worker wastes at most these permits.
	ahead = 2 * time.Second

	// clockError is how much two processes may differ about the end of a pause.
	clockError = 100 * time.Millisecond

	shiftTimeout = time.Second
)

type rates struct{ requests, tokens float64 } // per minute; 0 = unknown

// or returns r, with the rates of other where r has none.
func (r rates) or(other rates) rates {
	if r.requests <= 0 {
		r.requests = other.requests
	}
	if r.tokens <= 0 {
		r.tokens = other.tokens
	}
	return r
}

// pacer is the batch.Pacer of the workers. For each name, a row of the database has the time of the
// next permit, by the database's clock (GCRA). If no limit is known, and no Retry-After delay
// applies, no query is needed.
type pacer struct {
	batch string
	given rates      // set by flags; other rates are learned
	db    func() *DB // of the current session

	mu    sync.Mutex
	paces map[string]*pace
}

// pace has this process's data about the limits of one name.
type pace struct {
	turn chan struct{} // has one element, a lock for booking; it keeps the order of arrival

	// The pacer's mu guards these.
	shared    rates     // in the database, learned by any worker
	published rates     // learned by this process, and stored in the database
	until     time.Time // the end of the Retry-After delay
}

func newPacer(batch string, given rates, db func() *DB) *pacer {
	return &pacer{batch: batch, given: given, db: db, paces: map[string]*pace{}}
}

// of returns the pace of a name. The caller holds mu.
func (p *pacer) of(name string) *pace {
	one := p.paces[name]
	if one == nil {
		one = &pace{turn: make(chan struct{}, 1)}
		one.turn <- struct{}{}
		p.paces[name] = one
	}
	return one
}

// cost is what an attempt takes from the limits.
type cost struct {
	tokens         int
	request, token time.Duration // by which the times of the next permits move
}

// look returns the cost of requests and tokens, and the rest of the Retry-After delay.
func (p *pacer) look(name string, requests, tokens int) (one *pace, c cost, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one = p.of(name)
	limit := p.given.or(one.shared)
	if limit.requests > 0 {
		c.request = time.Duration(float64(requests) * float64(time.Minute) / limit.requests)
	}
	if limit.tokens > 0 {
		// A server that accepts the request has not counted more than a minute's tokens.
		c.tokens = min(tokens, int(limit.tokens))
		c.token = time.Duration(float64(c.tokens) * float64(time.Minute) / limit.tokens)
	}
	return one, c, time.Until(one.until)
}

// Take implements batch.Pacer.
func (p *pacer) Take(ctx context.Context, name string, tokens int) (taken int, err error) {
	name = storable(name)
	for {
		one, c, rest := p.look(name, 1, tokens)
		if c.request+c.token == 0 && rest <= 0 {
			return 0, nil
		}
		select {
		case <-one.turn:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		wait, err := p.book(ctx, name, c)
		one.turn <- struct{}{}
		if err != nil {
			return 0, err
		}
		if wait > 0 {
			err = clock.Sleep(ctx, wait)
		}
		if _, _, rest = p.look(name, 1, tokens); err == nil && rest <= clockError {
			return c.tokens, nil
		}
		p.shift(name, -c.request, -c.token) // a Retry-After delay has begun since it was booked
		if err != nil {
			return 0, err
		}
	}
}

// takeTurn books a permit if it is less than ahead away, and returns the time until then. Otherwise
// it returns no row.
const takeTurn = `INSERT INTO rebound.pace AS p (batch, name, requests_at, tokens_at)
	VALUES ($1, $2, clock_timestamp() + $3::interval, clock_timestamp() + $4::interval)
	ON CONFLICT (batch, name) DO UPDATE SET
		requests_at = greatest(p.requests_at, p.rests_until, clock_timestamp()) + $3::interval,
		tokens_at = greatest(p.tokens_at, p.rests_until, clock_timestamp()) + $4::interval
	WHERE greatest(p.requests_at, p.tokens_at, p.rests_until) < clock_timestamp() + $5::interval
	RETURNING extract(epoch FROM greatest(requests_at - $3::interval, tokens_at - $4::interval)
		- clock_timestamp())::float8`

// book tries takeTurn until it books a permit.
func (p *pacer) book(ctx context.Context, name string, c cost) (time.Duration, error) {
	for {
		var seconds []float64
		err := persist(ctx, func(ctx context.Context) error {
			rows, err := p.db().quick.Query(ctx, takeTurn, p.batch, name, c.request, c.token, ahead)
			if err == nil {
				seconds, err = pgx.CollectRows(rows, pgx.RowTo[float64])
			}
			return err
		})
		switch {
		case err != nil:
			return 0, err
		case len(seconds) > 0:
			return time.Duration(seconds[0] * float64(time.Second)), nil
		}
		if err := clock.Sleep(ctx, ahead/8); err != nil {
			return 0, err
		}
	}
}

// Settle implements batch.Pacer.
func (p *pacer) Settle(name string, requests, tokens int) {
	name = storable(name)
	if _, c, _ := p.look(name, requests, tokens); c.request != 0 || c.token != 0 {
		p.shift(name, c.request, c.token)
	}
}

// shift moves the times of the next permits.
func (p *pacer) shift(name string, request, token time.Duration) {
	p.try(`UPDATE rebound.pace SET requests_at = requests_at + $3::interval,
		tokens_at = tokens_at + $4::interval WHERE batch = $1 AND name = $2`, name, request, token)
}

// Pause implements batch.Pacer.
func (p *pacer) Pause(name string, d time.Duration) {
	name = storable(name)
	p.mu.Lock()
	one, until := p.of(name), time.Now().Add(d)
	longer := until.Sub(one.until) > clockError
	if longer {
		one.until = until
	}
	p.mu.Unlock()
	if longer {
		p.try(`INSERT INTO rebound.pace AS p (batch, name, rests_until)
			VALUES ($1, $2, clock_timestamp() + $3::interval)
			ON CONFLICT (batch, name) DO UPDATE
				SET rests_until = greatest(p.rests_until, excluded.rests_until)`, name, d)
	}
}

// try executes a statement that may fail. Then a permit is lost, or only this worker waits.
func (p *pacer) try(sql, name string, args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), shiftTimeout)
	defer cancel()
	_, _ = p.db().quick.Exec(ctx, sql, append([]any{p.batch, name}, args...)...)
}
