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

// Changes remembers the recent changes of breakers: the last 64 of each of the last 500 that had
// any, by name. The zero Changes is ready and may be shared by all breakers of a program; it must
// not be copied after first use.
type Changes struct {
	mu     sync.Mutex // guards byName
	byName map[string][]change
}

// change is a [breaker.Change] as the page has it.
type change struct {
	At     time.Time     `json:"at"`
	From   breaker.State `json:"from"`
	To     breaker.State `json:"to"`
	Forced bool          `json:"forced,omitempty"`
	Why    string        `json:"why,omitempty"`
}

// OnChange is made to be, or to be called by, [breaker.Breaker.OnChange].
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
		// A copy: slicing off the front would keep the array growing, and its old changes alive.
		kept = slices.Clone(kept[1:])
	}
	c.byName[b.Name] = append(kept, change{b.At, b.From, b.To, b.Forced, b.Why})
}

// forgetOne drops the breaker that has been quiet for longest. The caller holds c.mu. It looks at
// all of them, which happens only when a new name comes to a full table.
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

// of returns what is known of a breaker, oldest first.
func (c *Changes) of(s breaker.Snapshot) []change {
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if kept := c.byName[s.Name]; len(kept) > 0 {
			return slices.Clone(kept)
		}
	}
	if s.Since.IsZero() {
		return []change{}
	}
	// The snapshot has the last change itself, if not what the state was before.
	return []change{{At: s.Since, To: s.State, Forced: s.Forced, Why: s.Why}}
}
