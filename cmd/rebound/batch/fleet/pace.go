package fleet

import (
	"context"
	"time"
)

// ahead is how far turns are booked. A process that is killed wastes no more than these.
const ahead = 2 * time.Second

// pacer is the limit that all workers share: a row with the time of the next turn, by the server's
// clock (GCRA). One request of a process is under way at a time, in the order of their arrival.
type pacer struct {
	batch string
	o     Options
	db    func() *DB    // of the session
	turn  chan struct{} // has one element: who takes it may ask
}

func newPacer(batch string, o Options, db func() *DB) *pacer {
	p := &pacer{batch: batch, o: o, db: db, turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// takeTurn books a turn if it is near enough, and returns how long it is until then. Otherwise it
// returns no row.
const takeTurn = `UPDATE rebound.pace SET
		requests_at = greatest(requests_at, clock_timestamp()) + $2::interval,
		tokens_at = greatest(tokens_at, clock_timestamp()) + $3::interval
	WHERE batch = $1 AND greatest(requests_at, tokens_at) < clock_timestamp() + $4::interval
	RETURNING extract(epoch FROM greatest(requests_at - $2::interval, tokens_at - $3::interval)
		- clock_timestamp())::float8`

// Take waits for a turn.
func (p *pacer) Take(ctx context.Context, tokens int) error {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	wait, err := p.book(ctx, tokens)
	p.turn <- struct{}{}
	if err == nil && wait > 0 {
		err = sleep(ctx, wait)
		if err != nil {
			p.giveBack(tokens)
		}
	}
	return err
}

// book asks until a turn is near enough.
func (p *pacer) book(ctx context.Context, tokens int) (wait time.Duration, err error) {
	request, token := p.costs(tokens)
	for {
		var seconds []float64
		err := persist(ctx, func(ctx context.Context) error {
			seconds = nil
			rows, err := p.db().quick.Query(ctx, takeTurn, p.batch, request, token,
				ahead)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var s float64
				if err := rows.Scan(&s); err != nil {
					return err
				}
				seconds = append(seconds, s)
			}
			return rows.Err()
		})
		if err != nil {
			return 0, err
		}
		if len(seconds) > 0 {
			return time.Duration(seconds[0] * float64(time.Second)), nil
		}
		if err := sleep(ctx, ahead/8); err != nil {
			return 0, err
		}
	}
}

// costs are the times that a request and its tokens take of the limits.
func (p *pacer) costs(tokens int) (request, token time.Duration) {
	if p.o.Requests > 0 {
		request = time.Duration(float64(time.Minute) / p.o.Requests)
	}
	if p.o.Tokens > 0 {
		token = time.Duration(float64(time.Minute) / p.o.Tokens * float64(tokens))
	}
	return request, token
}

// giveBack returns a turn whose wait was cut off.
func (p *pacer) giveBack(tokens int) {
	request, token := p.costs(tokens)
	p.shift(-request, -token)
}

// Settle books tokens that were used beyond those of Take.
func (p *pacer) Settle(more int) {
	if _, token := p.costs(more); token != 0 {
		p.shift(0, token)
	}
}

// shift moves the next turn. It fails with the database, and then a turn is lost.
func (p *pacer) shift(request, token time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = p.db().quick.Exec(ctx, `UPDATE rebound.pace SET
		requests_at = requests_at + $2::interval, tokens_at = tokens_at + $3::interval
		WHERE batch = $1`, p.batch, request, token)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
