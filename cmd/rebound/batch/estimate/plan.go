package estimate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/llm"
)

// Plan adds up what the rows of a run may use.
type Plan struct {
	Prices           money.Prices // nil = costs are not estimated
	Requests, Tokens float64      // limits per minute; 0 = unknown

	rows, unpriced int
	bytes, largest int64
	largestID      string
	input, output  int
	unbounded      int // rows that state no maximum for the answer
	least, most    money.Amount
}

// Add adds a row that will be sent.
func (p *Plan) Add(id string, req *http.Request) {
	asked := llm.ReadRequest(req)
	p.rows++
	p.bytes += req.ContentLength
	if req.ContentLength > p.largest {
		p.largest, p.largestID = req.ContentLength, id
	}
	p.input += asked.Input
	p.output += asked.MaxOutput
	if asked.MaxOutput == 0 {
		p.unbounded++
	}
	most, err := p.Prices.Most(req)
	if err != nil {
		p.unpriced++
		return
	}
	p.most += most
	if one, err := p.Prices.Of(asked); err == nil {
		p.least += money.Dollars(float64(asked.Input) * one.Input / 2)
	}
}

// Text returns the plan as lines of text.
func (p *Plan) Text() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("to send: %d rows, %d bytes; the largest row is %q with %d", p.rows, p.bytes, p.largestID,
		p.largest)
	line("prompts: about %d tokens, estimated as 1 per 4 bytes and 1000 per picture", p.input)
	answers := fmt.Sprintf("at most %d tokens", p.output)
	if p.unbounded > 0 {
		answers += fmt.Sprintf("; %d rows state no maximum", p.unbounded)
	}
	line("answers: %s", answers)
	if p.Prices != nil {
		line("cost: $%.4f to $%.4f: from half of the prompts and no answers to twice the "+
			"prompts and the longest answers", p.least.USD(), p.most.USD())
		if p.unpriced > 0 {
			line("cost: %d rows are not included: no price, or no maximum for the answer", p.unpriced)
		}
	}
	for _, bound := range []struct {
		what        string
		use, minute float64
	}{
		{"requests", float64(p.rows), p.Requests},
		{"tokens", float64(p.input + p.output), p.Tokens},
	} {
		if bound.minute > 0 {
			line("time: at least %s, at the limit of %.0f %s per minute", minutes(bound.use/bound.minute),
				bound.minute, bound.what)
		}
	}
	line("nothing was sent; --probe 20 sends 20 rows, and estimates the rest from them")
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
