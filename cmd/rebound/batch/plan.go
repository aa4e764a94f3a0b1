package batch

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/llm"
)

// plan writes what a run would do, and what it may cost. It sends nothing.
func (b *batch) plan(w io.Writer, s Summary) error {
	var e expectation
	err := b.in.Scan(func(_ int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		i, _ := b.survey.Table.Find(b.key.Hash(r.ID))
		return e.add(b, r, b.survey.Table.State(i))
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, e.text(b, s))
	return err
}

// expectation is what the rows of a run may use.
type expectation struct {
	rows, unpriced int
	held           int // rows in doubt that are not sent again
	bytes, largest int64
	largestID      string
	input, output  int
	unbounded      int // rows whose answers have no bound
	least, most    money.Amount
}

func (e *expectation) add(b *batch, r rows.Row, state store.State) error {
	switch b.step(r, state) {
	case leave:
		return nil
	case hold:
		e.held++
		return nil
	}
	body, err := b.in.Files.Body(r)
	if err != nil {
		return err
	}
	req := b.head(r)
	setBody(req, body)
	asked := llm.ReadRequest(req)
	e.rows++
	e.bytes += int64(len(body))
	if int64(len(body)) > e.largest {
		e.largest, e.largestID = int64(len(body)), r.ID
	}
	e.input += asked.Input
	e.output += asked.MaxOutput
	if asked.MaxOutput == 0 {
		e.unbounded++
	}
	most, err := b.prices.Most(req)
	if err != nil {
		e.unpriced++
		return nil
	}
	e.most += most
	if p, err := b.prices.Of(asked); err == nil {
		e.least += money.Dollars(float64(asked.Input) * p.Input / 2)
	}
	return nil
}

func (e *expectation) text(b *batch, s Summary) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("%d rows: %d done, %d failed, %d pending, %d in doubt", s.Rows, s.Done, s.Failed, s.Pending,
		s.InDoubt)
	for _, host := range slices.Sorted(maps.Keys(b.survey.Hosts)) {
		line("host %s: %d rows", host, b.survey.Hosts[host])
	}
	if e.held > 0 {
		line("to the errors: %d rows in doubt, which are not sent again", e.held)
	}
	line("to send: %d rows, %d bytes; the largest row is %q with %d", e.rows, e.bytes, e.largestID,
		e.largest)
	line("prompts: about %d tokens, at a token for four bytes and 1000 for a picture", e.input)
	answers := fmt.Sprintf("at most %d tokens", e.output)
	if e.unbounded > 0 {
		answers += fmt.Sprintf("; %d rows state no maximum", e.unbounded)
	}
	line("answers: %s", answers)
	if b.prices != nil {
		line("cost: $%.4f to $%.4f, from half of the prompts without an answer to twice the "+
			"prompts and the longest answers", e.least.USD(), e.most.USD())
		if e.unpriced > 0 {
			line("cost: %d rows have no price or no bound", e.unpriced)
		}
	}
	for _, bound := range []struct {
		what        string
		use, minute float64
	}{
		{"requests", float64(e.rows), b.o.Requests},
		{"tokens", float64(e.input + e.output), b.o.Tokens},
	} {
		if bound.minute > 0 {
			line("time: at least %s by the limit of %.0f %s a minute", minutes(bound.use/bound.minute),
				bound.minute, bound.what)
		}
	}
	line("nothing was sent; --probe 20 sends 20 rows and estimates the rest by them")
	return text.String()
}

func minutes(m float64) string {
	if m < 1 {
		return fmt.Sprintf("%.0f s", m*60)
	}
	if m < 120 {
		return fmt.Sprintf("%.0f min", m)
	}
	return fmt.Sprintf("%.0f h %02.0f min", float64(int(m)/60), float64(int(m)%60))
}
