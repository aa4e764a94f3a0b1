package batch

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/estimate"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

// plan writes what a run would send, and its cost at most. It sends nothing.
func (b *batch) plan(w io.Writer, s Summary) error {
	p := estimate.Plan{Prices: b.prices, Requests: b.o.Requests, Tokens: b.o.Tokens}
	held, err := b.eachToSend(func(_ int, r rows.Row) error {
		body, err := b.in.Files.Body(r)
		if err == nil {
			p.Add(r.ID, b.requests.Of(r, body))
		}
		return err
	})
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d rows: %d done, %d failed, %d pending, %d in doubt\n", s.Rows, s.Done,
		s.Failed, s.Pending, s.InDoubt)
	for _, host := range slices.Sorted(maps.Keys(b.survey.Hosts)) {
		fmt.Fprintf(&text, "host %s: %d rows\n", host, b.survey.Hosts[host])
	}
	if held > 0 {
		fmt.Fprintf(&text, "not sent again: %d rows in doubt, which become errors\n", held)
	}
	_, err = io.WriteString(w, text.String()+p.Text())
	return err
}

var errNoPrices = errors.New("--budget needs --prices FILE: want litellm's price file, or one " +
	"like it")

// checkPrices returns an error for the first row whose cost has no bound.
func (b *batch) checkPrices() error {
	if b.prices == nil {
		return errNoPrices
	}
	_, err := b.eachToSend(func(n int, r rows.Row) error {
		if _, err := b.prices.Most(b.requests.Of(r, r.Body)); err != nil {
			return fmt.Errorf("%s:%d: %w", b.in.Name, n, err)
		}
		return nil
	})
	return err
}

// eachToSend calls fn for each row that a run sends. held counts the rows in doubt that become
// errors instead.
func (b *batch) eachToSend(fn func(line int, r rows.Row) error) (held int, err error) {
	err = b.in.Scan(func(n int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		i, _ := b.survey.Table.Find(b.key.Hash(r.ID))
		switch b.step(r, b.survey.Table.State(i)) {
		case send:
			return fn(n, r)
		case hold:
			held++
		}
		return nil
	})
	return held, err
}

// estimate returns an estimate of the rows that the next run sends, from the rows of the probe.
func (b *run) estimate(s Summary) string {
	for id, state := range b.tally.probed {
		i, _ := b.survey.Table.Find(id)
		b.survey.Table.Set(i, state)
	}
	left := 0
	_, err := b.eachToSend(func(int, rows.Row) error {
		left++
		return nil
	})
	if err != nil {
		return "estimate: none: " + err.Error() + "\n"
	}
	rest := estimate.Rest{
		Rows: left, InFlight: b.o.MaxInFlight, Requests: b.o.Requests, Tokens: b.o.Tokens,
		Priced: b.prices != nil, Samples: b.tally.samples, Failed: b.tally.fails,
	}
	for _, l := range s.Limits {
		switch {
		case l.Limit == 0:
		case strings.HasSuffix(l.Name, " requests"):
			rest.Requests = l.Limit * 60
		case strings.HasSuffix(l.Name, " tokens"):
			rest.Tokens = l.Limit * 60
		}
	}
	return estimate.Text(rest)
}
