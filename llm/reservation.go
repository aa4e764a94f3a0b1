package llm

import (
	"io"
	"sync"

	"github.com/rebound-go/rebound/limit"
)

// reservation is what one attempt has taken from a quota. A nil reservation is that of an attempt
// without a quota.
type reservation struct {
	meter                  *meter
	requestRate, tokenRate *limit.Rate
	input, tokens          float64 // estimates; tokens are those of the answer, too

	mu    sync.Mutex
	used  usage // reported so far
	ended bool
}

// metered returns body, whose end settles the reservation. raw is for answers in pieces, of which
// only the end is kept: they may be long.
func (r *reservation) metered(body io.ReadCloser, raw bool) io.ReadCloser {
	if r == nil {
		return body
	}
	return &meteredBody{ReadCloser: body, r: r, raw: raw}
}

// reader returns a function that reads the events of a stream.
func (r *reservation) reader() func(Event) {
	if r == nil {
		return nil
	}
	return func(e Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.used.add(e.Data)
	}
}

// note takes in the usage that an answer reports.
func (r *reservation) note(u usage) {
	if r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.used.also(u)
	}
}

// noteLast reads the usage at the end of an answer in pieces.
func (r *reservation) noteLast(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used.addLast(text)
}

// settle books the difference between what was estimated and what was used, once: the end of a body
// and its Close both settle. Without a report of the usage the estimate stands.
func (r *reservation) settle() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if used := r.used.tokens(); used > 0 && !r.ended {
		r.ended = true
		r.tokenRate.Debit(used - r.tokens)
		r.meter.answered(max(used-r.input, 0))
	}
}

// cancel gives the tokens back, unless an answer has settled them: a late refusal does not undo it.
func (r *reservation) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		r.tokenRate.Debit(-r.tokens)
	}
}
