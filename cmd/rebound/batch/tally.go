package batch

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/estimate"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// tally counts what a run does. Goroutines may share it.
type tally struct {
	probed map[uint64]store.State // states of the rows that the probe sent; nil = no probe

	mu       sync.Mutex
	rows     int
	done     int // the line is written, or will be
	failed   int
	doubt    int // rows that the journal has as sent, and that have not ended
	repeated int
	deferred int
	attempts int64
	input    float64 // tokens
	output   float64
	limited  time.Duration
	backoff  time.Duration
	samples  []estimate.Sample // of a probe
	lost     money.Amount      // cost of rows that failed
	reasons  map[string]*Reason

	first   string // code of the first failure
	strange bool   // a row succeeded, or failed with another code
	ends    int    // rows that ended in this run
	pace    estimate.Pace
	fails   int
}

func newTally(table *store.Table) *tally {
	n := table.Count()
	return &tally{rows: table.Len(), done: n[store.Done], failed: n[store.Failed],
		doubt: n[store.InDoubt], reasons: map[string]*Reason{}}
}

// end counts a round.
func (t *tally) end(j *queue.Job, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts += int64(v.attempts)
	t.input += v.usage.Input
	t.output += v.usage.Output
	t.limited += v.limited
	t.backoff += v.backoff
	if j.Again && v.attempts > 0 {
		t.repeated++
	}
	if j.Doubt {
		t.doubt--
	}
	if v.doubt {
		t.doubt++
	}
	if t.probed != nil {
		t.probed[j.Row.Key.ID] = v.state()
	}
	switch v.fate {
	case succeeded:
		t.done++
		if t.probed != nil {
			t.samples = append(t.samples, estimate.Sample{
				Seconds: v.seconds - v.limited.Seconds(), USD: v.cost.USD(),
				Tokens: v.usage.Input + v.usage.Output,
			})
		}
	case gaveUp:
		t.fail(j.Row.ID, v)
	case putOff:
		t.deferred += min(v.attempts, 1)
	}
}

// heldBack counts a row in doubt that is not sent again.
func (t *tally) heldBack(r rows.Row, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubt--
	t.fail(r.ID, v)
}

// fail counts a row that failed. The caller holds mu.
func (t *tally) fail(id string, v verdict) {
	t.failed++
	t.lost += v.cost
	r := t.reasons[v.code]
	if r == nil {
		r = &Reason{Code: v.code, Example: id, Message: v.why}
		t.reasons[v.code] = r
	}
	r.Rows++
}

// Ended counts the rows that have ended in this run, in all processes.
type Ended struct {
	Rows, Failed int
	Alike        bool   // all rows failed with the same code
	Code, Why    string // of the last failure
}

// ended counts a row that has ended in this run, and returns the counts so far.
func (t *tally) ended(v verdict) Ended {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	if v.fate == gaveUp {
		t.fails++
	}
	t.first = cmp.Or(t.first, v.code)
	t.strange = t.strange || v.fate != gaveUp || v.code != t.first
	return Ended{t.ends, t.fails, !t.strange, v.code, v.why}
}

// sortedReasons sorts by the number of rows, the most frequent first.
func sortedReasons(reasons map[string]*Reason) []Reason {
	var list []Reason
	for _, r := range slices.SortedFunc(maps.Values(reasons), func(a, b *Reason) int {
		return cmp.Or(b.Rows-a.Rows, cmp.Compare(a.Code, b.Code))
	}) {
		list = append(list, *r)
	}
	return list
}
