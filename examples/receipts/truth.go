package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// outcome is the outcome of a receipt.
type outcome int

const (
	extracted   outcome = iota // read by the OCR service and sorted by vision
	byFallback                 // read locally; sorted, unless vision was skipped as well
	skipped                    // read by the OCR service, but vision was skipped
	failed                     // no result, but an error
	interrupted                // the job was stopped before its end
	outcomes
)

// result is the pipeline's result for a receipt.
type result struct {
	id      string
	outcome outcome
	extraction
	err error // why the receipt failed, was skipped or was interrupted
}

// known is the correct result of a receipt. It is kept apart from the data that is sent.
type known struct {
	unreadable bool // the paper is torn: the only right outcome is failed
	category   string
	date       string
	total      cents
}

// agrees reports whether a successful result is correct.
func (k known) agrees(r result) bool {
	return !k.unreadable && r.Total == k.total && r.Date == k.date &&
		(r.Category == k.category || r.Category == "" && r.outcome != extracted)
}

// ledger records each receipt when it enters and leaves the pipeline.
type ledger struct {
	truth map[string]known // read-only

	mu   sync.Mutex
	out  map[string]int // how often each receipt left the pipeline
	sum  tally
	errs map[string]error // of the failed receipts
}

func newLedger(truth map[string]known) *ledger {
	return &ledger{truth: truth, out: make(map[string]int), errs: make(map[string]error)}
}

// took records that a receipt entered the pipeline.
func (l *ledger) took(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.in++
	l.out[id] = 0
}

// gave records that a receipt left the pipeline, and compares its result with the correct one.
func (l *ledger) gave(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ours := l.truth[r.id]
	l.out[r.id]++
	switch {
	case l.out[r.id] > 1:
		l.sum.duplicated++
		return
	case !ours:
		l.sum.wrong++
	case r.outcome == failed:
		l.errs[r.id] = r.err
	case r.outcome != interrupted && !k.agrees(r):
		l.sum.wrong++
	}
	l.sum.by[r.outcome]++
}

// tally returns the sums so far. A receipt in the pipeline counts as lost.
func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.sum
	for _, n := range l.out {
		if n == 0 {
			t.lost++
		}
	}
	return t
}

// failures returns a line for each failed receipt, sorted by id.
func (l *ledger) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(l.errs)) {
		lines = append(lines, fmt.Sprintf("%s: %v", id, l.errs[id]))
	}
	return lines
}

// tally is the ledger in numbers.
type tally struct {
	in                      int
	by                      [outcomes]int
	lost, duplicated, wrong int
}

// sound reports whether each receipt has a correct result or an error, exactly once.
func (t tally) sound() bool { return t.lost == 0 && t.duplicated == 0 && t.wrong == 0 }

// String returns the last line of the report.
func (t tally) String() string {
	line := fmt.Sprintf("receipts in = %d, extracted = %d, by fallback = %d, skipped = %d, "+
		"failed = %d, ", t.in, t.by[extracted], t.by[byFallback], t.by[skipped], t.by[failed])
	if n := t.by[interrupted]; n > 0 {
		line += fmt.Sprintf("interrupted = %d, ", n)
	}
	return line + fmt.Sprintf("lost = %d, duplicated = %d, wrong = %d",
		t.lost, t.duplicated, t.wrong)
}
