package fleet

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/internal/daemon"
)

// fakeClock is a clock in the database that the test sets. It precedes the server's own clock in
// the search path.
const fakeClock = `CREATE SCHEMA fake; CREATE TABLE fake.now (at timestamptz);
	INSERT INTO fake.now VALUES ('2030-01-01');
	CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS 'SELECT at FROM fake.now';`

// turns are the times from now of the turns that the workers can book, one worker after the other,
// until none is near enough.
func turns(t *testing.T, workers []*DB, c cost) (waits []time.Duration) {
	t.Helper()
	for i := 0; ; i++ {
		rows, err := workers[i%len(workers)].quick.Query(t.Context(), takeTurn, "b", "m", c.request,
			c.token, ahead)
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[float64])
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			return waits
		}
		waits = append(waits, time.Duration(found[0]*float64(time.Second)).Round(time.Millisecond))
	}
}

// clocked returns three workers whose database has a clock, and a function that moves it.
func clocked(t *testing.T) (workers []*DB, move func(time.Duration)) {
	server := daemon.Require(t, daemon.Postgres)
	connect := func(address string) *DB {
		db, err := Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	plain := connect(server.URL())
	if err := plain.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := plain.quick.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(fakeClock)
	exec("INSERT INTO rebound.batch (name, key) VALUES ('b', '')")
	for range 3 {
		workers = append(workers, connect(server.URL()+"&search_path=fake,pg_catalog"))
	}
	return workers, func(d time.Duration) {
		t.Helper()
		exec("UPDATE fake.now SET at = at + $1::interval", d)
	}
}

// All workers together get exactly as many turns as the limit allows.
func TestTurns(t *testing.T) {
	workers, move := clocked(t)
	for _, c := range []struct {
		name string
		cost cost
		each time.Duration // between two turns
	}{
		{"requests", cost{request: 20 * time.Millisecond}, 20 * time.Millisecond},
		{"tokens", cost{token: 50 * time.Millisecond}, 50 * time.Millisecond},
		{"both", cost{request: 20 * time.Millisecond, token: 50 * time.Millisecond},
			50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			move(time.Hour)
			for round, span := range []time.Duration{ahead, time.Second, 300 * time.Millisecond} {
				got := turns(t, workers, c.cost)
				if want := int(span / c.each); len(got) != want {
					t.Errorf("round %d: %d turns, want %d in %v", round, len(got), want, span)
				}
				for i, wait := range got {
					if want := ahead - span + time.Duration(i)*c.each; wait != want {
						t.Fatalf("round %d: turn %d is in %v, want %v", round, i, wait, want)
					}
				}
				move([]time.Duration{time.Second, 300 * time.Millisecond, 0}[round])
			}
			move(time.Hour) // turns are not saved up
			if got := turns(t, workers, c.cost); len(got) != int(ahead/c.each) {
				t.Errorf("after an hour: %d turns, want those of %v", len(got), ahead)
			}
		})
	}
	t.Run("rest", func(t *testing.T) {
		move(time.Hour)
		p := newPacer("b", rates{}, func() *DB { return workers[0] })
		p.Pause("m", time.Minute)
		if got := turns(t, workers, cost{}); len(got) > 0 {
			t.Errorf("%d turns in the server's delay", len(got))
		}
		move(time.Minute - time.Second)
		if got := turns(t, workers, cost{request: 100 * time.Millisecond}); len(got) != 10 ||
			got[0] != time.Second {
			t.Errorf("the turns are in %v, want 10, from 1s on", got)
		}
	})
}

// A request takes at most a minute's tokens, and none from an unknown limit.
func TestCosts(t *testing.T) {
	p := newPacer("b", rates{requests: 60}, nil)
	for _, c := range []struct {
		learned rates
		want    cost
	}{
		{rates{}, cost{0, time.Second, 0}},
		{rates{requests: 600}, cost{0, time.Second, 0}}, // what was given holds
		{rates{tokens: 6000}, cost{300, time.Second, 3 * time.Second}},
		{rates{tokens: 100}, cost{100, time.Second, time.Minute}},
	} {
		p.takeUp("m", c.learned, 0)
		if _, got, rest := p.look("m", 1, 300); got != c.want || rest > 0 {
			t.Errorf("learned %+v: got %+v, %v, want %+v", c.learned, got, rest, c.want)
		}
	}
	p.takeUp("m", rates{}, time.Minute)
	if _, _, rest := p.look("m", 1, 1); rest < 50*time.Second {
		t.Errorf("the server's delay is %v, want a minute", rest)
	}
}
