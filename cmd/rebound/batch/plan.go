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
	held := 0
	err := b.in.Scan(func(_ int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		i, _ := b.survey.Table.Find(b.key.Hash(r.ID))
		switch b.step(r, b.survey.Table.State(i)) {
		case leave:
			return nil
		case hold:
			held++
			return nil
		}
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
	return b.in.Scan(func(n int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		i, _ := b.survey.Table.Find(b.key.Hash(r.ID))
		if b.step(r, b.survey.Table.State(i)) != send {
			return nil
		}
		if _, err := b.prices.Most(b.requests.Of(r, r.Body)); err != nil {
			return fmt.Errorf("%s:%d: %w", b.in.Name, n, err)
		}
		return nil
	})
}
