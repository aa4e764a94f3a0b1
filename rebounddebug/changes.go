package rebounddebug

import (
	"slices"
	"sync"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

const (
	keptChanges = 64  // for each breaker
	keptNames   = 500 // breakers
)

// Changes keeps the recent changes of breakers, by name. It keeps the last 64 changes of each
// breaker, for the 500 breakers that changed most recently. The zero Changes is ready to use. All
// breakers of a program may share it. It must not be copied after first use.
type Changes struct {
	// mu guards byName. Breakers call OnChange from the goroutines of their callers.
	mu     sync.Mutex
	byName map[string][]change
}

// change is a [breaker.Change] in the form that the page uses.
type change struct {
	At     time.Time     `json:"at"`
	From   breaker.State `json:"from"`
	To     breaker.State `json:"to"`
	Forced bool          `json:"forced,omitempty"`
	Why    string        `json:"why,omitempty"`
}

// OnChange records a change. Use it as [breaker.Breaker.OnChange], or call it from there.
func (c *Changes) OnChange(b breaker.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = make(map[string][]change)
	}
	kept := c.byName[b.Name]
	if len(kept) == 0 && len(c.byName) >= keptNames {
		c.forgetOne()
	}
	if len(kept) >= keptChanges {
		// Clone frees the memory of the oldest change, which reslicing would keep.
		kept = slices.Clone(kept[1:])
	}
	// Breakers with the same name share a history, as they share a name in logs.
	c.byName[b.Name] = append(kept, change{b.At, b.From, b.To, b.Forced, b.Why})
}

// forgetOne drops the breaker whose last change is the oldest. The caller holds c.mu. It compares
// all breakers, but runs only when a new name comes and the table is full.
func (c *Changes) forgetOne() {
	var quiet string
	var since time.Time
	for name, kept := range c.byName {
		if last := kept[len(kept)-1].At; since.IsZero() || last.Before(since) {
			quiet, since = name, last
		}
	}
	delete(c.byName, quiet)
}

// of returns the recorded changes of a breaker, oldest first.
func (c *Changes) of(s breaker.Snapshot) []change {
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if kept := c.byName[s.Name]; len(kept) > 0 {
			return slices.Clone(kept)
		}
	}
	// A breaker that has never changed has no history. An empty list, because nil would be null in
	// JSON.
	if s.Since.IsZero() {
		return []change{}
	}
	// The snapshot holds the last change, but not the state before it.
	return []change{{At: s.Since, To: s.State, Forced: s.Forced, Why: s.Why}}
}
