package estimate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/llm"
)

// Plan is what the rows of a run may use.
type Plan struct {
	Prices           money.Prices // nil = none
	Requests, Tokens float64      // per minute; 0 = no limit is known

	rows, unpriced int
	bytes, largest int64
	largestID      string
	input, output  int
	unbounded      int // rows whose answers have no bound
	least, most    money.Amount
}

// Add adds a row that is to be sent.
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

// Text returns the plan for people.
func (p *Plan) Text() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("to send: %d rows, %d bytes; the largest row is %q with %d", p.rows, p.bytes, p.largestID,
		p.largest)
	line("prompts: about %d tokens, at a token for four bytes and 1000 for a picture", p.input)
	answers := fmt.Sprintf("at most %d tokens", p.output)
	if p.unbounded > 0 {
		answers += fmt.Sprintf("; %d rows state no maximum", p.unbounded)
	}
	line("answers: %s", answers)
	if p.Prices != nil {
		line("cost: $%.4f to $%.4f, from half of the prompts without an answer to twice the "+
			"prompts and the longest answers", p.least.USD(), p.most.USD())
		if p.unpriced > 0 {
			line("cost: %d rows have no price or no bound", p.unpriced)
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
