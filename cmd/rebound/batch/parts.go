package batch

// run is one run of a batch.
type run struct {
	*batch
	sender *sender
	queue  *queue
	tally  *tally
}
