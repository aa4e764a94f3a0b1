package llm

import (
	"io"
	"sync"

	"github.com/rebound-go/rebound/limit"
)

// reservation holds what one attempt has taken from a quota. For an attempt without a quota it is
// nil, so that callers need not distinguish the two.
type reservation struct {
	entry                  *meterEntry
	meter                  *meter // of entry
	requestRate, tokenRate *limit.Rate
	input, tokens          float64 // estimates; tokens are those of the answer, too

	// mu guards the fields below it: a body may be closed while another goroutine reads it.
	mu    sync.Mutex
	used  usage // reported so far
	ended bool
}

// metered wraps body, so that its end settles the reservation. The meter is in use until then, so
// the caller must get the body that is returned. With raw, the usage is read from the
// end of the text, of which only the last part is kept: answers in pieces may be long.
func (r *reservation) metered(body io.ReadCloser, raw bool) io.ReadCloser {
	if r == nil {
		return body
	}
	r.entry.Use()
	return &meteredBody{ReadCloser: body, r: r, raw: raw}
}

// reader returns a function that reads the usage in the events of a stream.
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

// note adds the usage that an answer reports.
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

// settle corrects the token limit by the difference between the estimate and the usage. It does so
// only once, although both the end of a body and its Close call it. Without reported usage the
// estimate stands.
func (r *reservation) settle() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if used := r.used.tokens(); used > 0 && !r.ended {
		r.ended = true
		// A negative difference gives tokens back.
		r.tokenRate.Debit(used - r.tokens)
		r.meter.answered(max(used-r.input, 0))
	}
}

// cancel returns the tokens, unless an answer has settled the reservation: a late rejection does
// not undo that.
func (r *reservation) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		r.tokenRate.Debit(-r.tokens)
	}
}
