package batch

import (
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/estimate"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// drawn reports whether a row is to be sent: of a probe those pending rows are that lie evenly over
// the whole file. nth counts the pending rows.
func (b *batch) drawn(state store.State, nth *int) bool {
	if b.o.Probe == 0 {
		return true
	}
	if state != store.Pending {
		return false
	}
	before := *nth * b.o.Probe / max(b.pending, b.o.Probe)
	*nth++
	return *nth*b.o.Probe/max(b.pending, b.o.Probe) > before
}

// estimate is the text of what the rest takes, by the rows of the probe.
func (b *run) estimate(s Summary) string {
	rest := estimate.Rest{
		Rows: s.Pending, InFlight: b.o.MaxInFlight, Requests: b.o.Requests, Tokens: b.o.Tokens,
		Priced: b.prices != nil, Samples: b.tally.samples, Failed: b.tally.fails,
	}
	for _, l := range s.Limits {
		switch {
		case l.Limit == 0:
		case strings.HasSuffix(l.Name, " requests"):
			rest.Requests = l.Limit * 60
		case strings.HasSuffix(l.Name, " tokens"):
			rest.Tokens = l.Limit * 60
		}
	}
	return estimate.Text(rest)
}
