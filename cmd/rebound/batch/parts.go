package batch

import "github.com/rebound-go/rebound/cmd/rebound/batch/queue"

// run is one run of a batch.
type run struct {
	*batch
	sender *sender
	queue  *queue.Queue
	tally  *tally
}
