package rebounddebug

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

// Of any number of changes and breakers, only the latest changes are kept.
func TestChangesAreBounded(t *testing.T) {
	var c Changes
	now := time.Now()
	tell := func(name string, n int) {
		now = now.Add(time.Second)
		c.OnChange(breaker.Change{Name: name, At: now, Why: fmt.Sprint(n)})
	}
	for i := range 200 {
		tell("busy", i)
	}
	kept := c.of(breaker.Snapshot{Name: "busy"})
	if len(kept) != keptChanges || kept[0].Why != "136" || kept[63].Why != "199" {
		t.Errorf("%d changes are kept, from %+v to %+v; want the last %d",
			len(kept), kept[0], kept[len(kept)-1], keptChanges)
	}
	for i := range 2 * keptNames {
		tell(fmt.Sprint("name ", i), i)
	}
	if len(c.byName) != keptNames {
		t.Errorf("%d breakers are kept, want %d", len(c.byName), keptNames)
	}
	last := fmt.Sprint("name ", 2*keptNames-1)
	if len(c.byName["busy"]) != 0 || len(c.byName[last]) != 1 {
		t.Errorf("kept: busy %v, %s %v; want the latest", c.byName["busy"], last, c.byName[last])
	}
}

// Without Changes, or before its first change, a snapshot contains the last change.
func TestLastChangeIsKnown(t *testing.T) {
	s := breaker.Snapshot{Name: "b", State: breaker.Open, Since: time.Now(), Why: "failure rate"}
	for _, c := range []*Changes{nil, new(Changes)} {
		if got := c.of(s); len(got) != 1 || got[0].To != breaker.Open || got[0].Why != s.Why {
			t.Errorf("got %+v, want the change to open", got)
		}
		if got := c.of(breaker.Snapshot{Name: "new"}); got == nil || len(got) != 0 {
			t.Errorf("got %+v, want no change, as a list", got)
		}
	}
}
