package queue

import (
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
)

// deferral is a row that was put off.
type deferral struct {
	at           int64 // offset of the row in the input
	lost         money.Amount
	pause        time.Duration
	due          time.Time
	history      outage.History
	attempts     int32
	again, doubt bool
}

// deferrals is a heap, with the deferral that is due first at its top.
type deferrals []deferral

func (d deferrals) Len() int           { return len(d) }
func (d deferrals) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d deferrals) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deferrals) Push(x any)        { *d = append(*d, x.(deferral)) }
func (d *deferrals) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
