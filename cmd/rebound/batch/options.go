package batch

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// The exit codes. After a signal the code is 128 and the number of the signal.
const (
	exitAll      = 0   // each row has a result
	exitFailed   = 1   // each row has a result or an error
	exitStopped  = 75  // stopped early; the same command continues
	exitDeadline = 124 // Options.Deadline is over
	exitOwn      = 125 // rebound itself failed
)

// Options are the flags of the command. A zero field means its default.
type Options struct {
	Input  string // a file, or - for Stdin
	Output string // file of results; FILE.errors and FILE.journal are beside it

	Base   *url.URL
	Allow  []*url.URL
	Header http.Header // of every row
	Secret []string    // credentials in Header, which must not be written anywhere
	Files  string      // directory of the files that rows may name

	Policy      *rebound.Policy // nil = one for LLMs, which waits for the end of an outage
	Requests    float64         // per minute; 0 = learned
	Tokens      float64         // per minute; 0 = learned
	MaxInFlight int             // 0 = 256
	Start       int             // requests in flight at first; 0 = 3/4 of MaxInFlight, at least 20
	RowAttempts int             // 0 = 8

	InDoubt       string // auto, redo or hold; empty = auto
	RetryFailed   bool
	RetryInDoubt  bool
	IdempotencyAs string // header that gets a key unique to the row; empty = none

	Budget      float64 // dollars; 0 = none
	Prices      string  // file
	Deadline    time.Duration
	MaxFailures Failures
	First       int // stop after this many rows if all failed with one code; 0 = 20, negative = never
	Grace       time.Duration
	Crash       bool // the journal survives a crash of the process, but not a power cut

	DryRun  bool
	Probe   int
	Ordered string
	Tee     bool
	Report  string
	Command []string // continues the batch; printed in the report

	Transport http.RoundTripper // sends each attempt; nil = one with http.DefaultTransport's settings
	Stdin     io.Reader
	Stdout    io.Writer
	Progress  func(Live) (stop func()) // shows the progress; nil = none
	Signals   <-chan Signal
	Client    func(*llm.Quota, *rebound.Policy) // called with both before they are used; nil = none
}

// Live is a running batch. Its methods may be called from any goroutine.
type Live interface {
	Progress() Progress
	Limits() []limit.Snapshot
}

// Progress is the state of a running batch.
type Progress struct {
	Rows     int // of the input
	Ended    int // rows whose lines are written
	Done     int
	Failed   int
	InDoubt  int
	InFlight int
	Deferred int // rows that were put off

	Spent     float64       // dollars
	Tokens    [2]float64    // of prompts and answers, in this run
	PerSecond float64       // rows that ended, in the last 30 to 60 s
	Away      time.Duration // how long the service has been away; 0 = it is there
	Left      time.Duration // estimated; 0 = unknown, or nothing is left
}

// Signal is a signal that ends the batch.
type Signal struct {
	Name   string
	Number int
}

const (
	defaultInFlight    = 256
	leastStart         = 20 // requests in flight at first, if MaxInFlight allows it
	defaultRowAttempts = 8
	defaultFirst       = 20
	defaultGrace       = 30 * time.Second

	// firstWorkers is how many workers start before the first round is over. That round may show the
	// limits, or that nothing works.
	firstWorkers = 8

	maxBodies = 256 << 20 // bytes of all request bodies in flight
)

func (o *Options) defaults() {
	o.MaxInFlight = cmp.Or(o.MaxInFlight, defaultInFlight)
	o.RowAttempts = cmp.Or(o.RowAttempts, defaultRowAttempts)
	o.First = cmp.Or(o.First, defaultFirst)
	o.Grace = cmp.Or(o.Grace, defaultGrace)
	o.InDoubt = cmp.Or(o.InDoubt, "auto")
}

// early is how many rows per place may be marked as sent while they wait for a place. Without them
// a place would stay empty while a mark is synced. A crash leaves these rows in doubt.
const early = 1.0 / 8

// workers is the most rows that have a place or wait for one.
func (o Options) workers() int {
	if o.Crash {
		return o.MaxInFlight // a mark that is not synced takes next to no time
	}
	return o.MaxInFlight + int(float64(o.MaxInFlight)*early)
}

// start returns how many requests may be in flight at first.
func (o Options) start() int {
	most := o.workers()
	share := most * 3 / 4
	return min(cmp.Or(o.Start, max(leastStart, share)), most)
}

// Failures bounds the rows that may fail: by number, or by share of the rows that have ended. Zero
// is no bound.
type Failures struct {
	Number int
	Share  float64
}

// judgedFrom is how many rows must have ended before Failures.Share applies.
const judgedFrom = 20

func (f Failures) exceeded(ended, failures int) bool {
	return f.Number > 0 && failures > f.Number ||
		f.Share > 0 && ended >= judgedFrom && float64(failures) > f.Share*float64(ended)
}

func (f Failures) String() string {
	if f.Share > 0 {
		return fmt.Sprintf("%g%%", f.Share*100)
	}
	return fmt.Sprint(f.Number)
}

// Mark marks a row as sent, and reserves the most that it can cost. The row may be sent once Mark
// has returned nil. With money.ErrSpent or ErrStopping, the row is unchanged.
type Mark func(ctx context.Context, key store.Row, cost money.Amount) error
