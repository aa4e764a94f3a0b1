package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/internal/clock"
)

const (
	// ahead is how far turns are booked. A process that is killed wastes no more than these.
	ahead = 2 * time.Second

	// clockError is how much the ends of a pause differ by, as two processes see them.
	clockError = 100 * time.Millisecond

	shiftTimeout = time.Second
)

// rates are limits per minute; 0 = unknown.
type rates struct{ requests, tokens float64 }

// or returns the rates, and those of other where they are unknown.
func (r rates) or(other rates) rates {
	if r.requests <= 0 {
		r.requests = other.requests
	}
	if r.tokens <= 0 {
		r.tokens = other.tokens
	}
	return r
}

// pacer is the limits that all workers share. Those of a name are a row with the time of the next
// turn, by the server's clock (GCRA). Where no limit is known, and the server has asked for no
// delay, a turn needs no database.
type pacer struct {
	batch string
	given rates      // by flags; the others are learned
	db    func() *DB // of the session

	mu    sync.Mutex
	paces map[string]*pace
}

// pace is what this process has of the limits of one name.
type pace struct {
	turn chan struct{} // has one element: who takes it may ask, so turns are in the order of arrival

	// The pacer's mu guards these.
	shared    rates     // of the row, as they were learned by any worker
	published rates     // of those that this process has learned
	until     time.Time // is when the server's delay ends
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

// cost is what an attempt takes of the limits.
type cost struct {
	tokens         int
	request, token time.Duration
}

// look returns what so many requests and tokens take, and how long the server's delay lasts.
func (p *pacer) look(name string, requests, tokens int) (one *pace, c cost, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one = p.of(name)
	limit := p.given.or(one.shared)
	if limit.requests > 0 {
		c.request = time.Duration(float64(requests) * float64(time.Minute) / limit.requests)
	}
	if limit.tokens > 0 {
		// A server that accepts more than a minute's tokens has not counted them so.
		c.tokens = min(tokens, int(limit.tokens))
		c.token = time.Duration(float64(c.tokens) * float64(time.Minute) / limit.tokens)
	}
	return one, c, time.Until(one.until)
}

// Take waits for a turn.
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
		p.shift(name, -c.request, -c.token) // there is a delay that was not known when it was booked
		if err != nil {
			return 0, err
		}
	}
}

// takeTurn books a turn if it is near enough, and returns how long it is until then. Otherwise it
// returns no row.
const takeTurn = `INSERT INTO rebound.pace AS p (batch, name, requests_at, tokens_at)
	VALUES ($1, $2, clock_timestamp() + $3::interval, clock_timestamp() + $4::interval)
	ON CONFLICT (batch, name) DO UPDATE SET
		requests_at = greatest(p.requests_at, p.rests_until, clock_timestamp()) + $3::interval,
		tokens_at = greatest(p.tokens_at, p.rests_until, clock_timestamp()) + $4::interval
	WHERE greatest(p.requests_at, p.tokens_at, p.rests_until) < clock_timestamp() + $5::interval
	RETURNING extract(epoch FROM greatest(requests_at - $3::interval, tokens_at - $4::interval)
		- clock_timestamp())::float8`

// book asks until a turn is near enough.
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

// Settle books what was used beyond what was taken.
func (p *pacer) Settle(name string, requests, tokens int) {
	name = storable(name)
	if _, c, _ := p.look(name, requests, tokens); c.request != 0 || c.token != 0 {
		p.shift(name, c.request, c.token)
	}
}

// shift moves the next turn.
func (p *pacer) shift(name string, request, token time.Duration) {
	p.try(`UPDATE rebound.pace SET requests_at = requests_at + $3::interval,
		tokens_at = tokens_at + $4::interval WHERE batch = $1 AND name = $2`, name, request, token)
}

// Pause has all workers wait, as the server has asked for.
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

// try executes what may fail with the database: then a turn is lost, or one worker alone waits.
func (p *pacer) try(sql, name string, args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), shiftTimeout)
	defer cancel()
	_, _ = p.db().quick.Exec(ctx, sql, append([]any{p.batch, name}, args...)...)
}
