package batch

import (
	"sync"
	"sync/atomic"
)

// halt holds why the batch stops early. The first reason counts.
type halt struct {
	feed func() // ends the feed

	// account is set as soon as an answer shows a fault of the account. The reason is set later, after
	// the round of that row.
	account atomic.Bool

	mu   sync.Mutex
	code int
	why  string
	err  error
}

// stop stops the batch. first is false if the batch was already stopping.
func (h *halt) stop(code int, why string) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first = h.code == 0; first {
		h.code, h.why = code, why
	}
	h.feed()
	return first
}

// fail stops the batch because rebound itself failed. A nil error does nothing.
func (h *halt) fail(err error) {
	if err != nil && h.stop(exitOwn, err.Error()) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.err = err
	}
}

func (h *halt) reason() (code int, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.code, h.why
}

func (h *halt) own() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
