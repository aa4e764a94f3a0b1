package batch

import (
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/estimate"
)

// estimate returns an estimate of the pending rows, from the rows that the probe sent.
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
