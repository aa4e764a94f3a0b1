package reboundsql_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

// native is a transaction of a driver without database/sql. It records the calls and returns what
// its script contains.
type native struct {
	log      *[]string
	commit   error
	rollback error
}

func (n native) Commit(context.Context) error {
	*n.log = append(*n.log, "commit")
	return n.commit
}

func (n native) Rollback(ctx context.Context) error {
	word := "rollback"
	deadline, ok := ctx.Deadline()
	if ctx.Err() != nil || !ok || time.Until(deadline) > 5*time.Second {
		word = "rollback with a context that is dead, or not bounded"
	}
	*n.log = append(*n.log, word)
	return n.rollback
}

var lives = []struct {
	name   string
	txs    []native
	fn     []error // what it returns, in order
	want   []string
	reason rebound.Reason
	doubt  bool
}{
	{
		name: "success",
		txs:  []native{{}}, fn: []error{nil},
		want: []string{"begin", "commit"},
	}, {
		name: "a broken connection resets the pool",
		txs:  []native{{}, {}}, fn: []error{io.EOF, nil},
		want: []string{"begin", "rollback", "reset", "begin", "commit"},
	}, {
		name: "a server that became read-only resets the pool at once",
		txs:  []native{{}, {}, {}}, fn: []error{state("25006"), state("25006"), state("25006")},
		want: []string{"begin", "rollback", "reset", "begin", "rollback", "reset",
			"begin", "rollback", "reset"},
		reason: rebound.Exhausted,
	}, {
		name: "a deadlock does not reset the pool",
		txs:  []native{{}, {}}, fn: []error{state("40P01"), nil},
		want: []string{"begin", "rollback", "begin", "commit"},
	}, {
		name: "a failed COMMIT releases with Rollback",
		txs:  []native{{commit: state("40001")}, {}}, fn: []error{nil, nil},
		want: []string{"begin", "commit", "rollback", "begin", "commit"},
	}, {
		name: "in doubt",
		txs:  []native{{commit: errWire}}, fn: []error{nil},
		want:   []string{"begin", "commit", "rollback"},
		reason: rebound.NotRetryable, doubt: true,
	}, {
		name: "ended by its function",
		txs:  []native{{rollback: errors.New("tx is closed")}}, fn: []error{state("40P01")},
		want:   []string{"begin", "rollback"},
		reason: rebound.NotRetryable,
	},
}

func TestInTxOf(t *testing.T) {
	for _, c := range lives {
		t.Run(c.name, func(t *testing.T) {
			var log []string
			begin := func(context.Context) (native, error) {
				tx := c.txs[0]
				c.txs, tx.log, log = c.txs[1:], &log, append(log, "begin")
				return tx, nil
			}
			o := reboundsql.Options{Reset: func() { log = append(log, "reset") }}
			err := reboundsql.InTxOf(t.Context(), begin, quick(3), &o,
				func(context.Context, native) error {
					err := c.fn[0]
					c.fn = c.fn[1:]
					return err
				})
			if !slices.Equal(log, c.want) {
				t.Errorf("got %q, want %q", log, c.want)
			}
			if c.reason == "" && err != nil || c.reason != "" && !errors.Is(err, c.reason) {
				t.Errorf("got %v, want reason %q", err, c.reason)
			}
			if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.doubt {
				t.Errorf("in doubt: %v, want %v: %v", got, c.doubt, err)
			}
		})
	}
}

func TestNilPolicy(t *testing.T) {
	db := new(server).database(t)
	if err := reboundsql.InTx(t.Context(), db, nil, nil, write); err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := reboundsql.Exec(t.Context(), db, nil, nil, "exec"); err != nil {
		t.Errorf("got %v", err)
	}
}
