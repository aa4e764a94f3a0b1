package batch

import (
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

// Exit codes, beside 128 and the number of a signal.
const (
	exitAll      = 0   // each row has a result
	exitFailed   = 1   // each row has ended, some in the errors
	exitStopped  = 75  // stopped early; the same command goes on
	exitDeadline = 124 // of Options.Deadline
	exitOwn      = 125 // a failure of the batch itself
)

// Options are the flags of the command. Zero means the default.
type Options struct {
	Input  string // a file, or - for Stdin
	Output string // results; FILE.errors and FILE.journal are beside it

	Base   *url.URL
	Allow  []*url.URL
	Header http.Header // of every row
	Secret []string    // parts of it that must be in nothing that is written
	Files  string      // directory of the files that rows may name

	Policy      *rebound.Policy
	Requests    float64 // per minute; 0 = learned
	Tokens      float64 // per minute; 0 = learned
	MaxInFlight int     // 0 = 256
	RowAttempts int     // 0 = 8

	InDoubt       string // auto, redo or hold; empty = auto
	RetryFailed   bool
	RetryInDoubt  bool
	IdempotencyAs string // header that gets a key of the row; empty = none

	Budget      float64 // dollars; 0 = none
	Prices      string  // file
	Deadline    time.Duration
	MaxFailures Failures
	First       int // stop if as many rows that ended first failed alike; 0 = 20, negative = never
	Grace       time.Duration
	Crash       bool // the journal survives the end of the process, and not a power cut

	DryRun  bool
	Probe   int
	Ordered string
	Tee     bool
	Report  string
	Command []string // that goes on, for the report

	Transport http.RoundTripper // of the attempts; nil = http.DefaultTransport's settings
	Stdin     io.Reader
	Stdout    io.Writer
	Progress  func(Live) (stop func()) // shows the progress; nil = none
	Signals   <-chan Signal
	Client    func(*llm.Quota, *rebound.Policy) // gets what to watch; nil = none
}

// Live is a batch that runs. Its methods may be called from any goroutine.
type Live interface {
	Progress() Progress
	Limits() []limit.Snapshot
}

// Progress is where a batch stands.
type Progress struct {
	Rows     int // of the input
	Ended    int // their lines are written
	Done     int
	Failed   int
	InDoubt  int
	InFlight int
	Deferred int // wait to be sent again

	Spent     float64    // dollars
	Tokens    [2]float64 // of prompts and answers, in this run
	PerSecond float64    // rows, in this run
	Left      time.Duration
}

// Signal is one that ends the batch.
type Signal struct {
	Name   string
	Number int
}

const (
	defaultInFlight    = 256
	defaultRowAttempts = 8
	defaultFirst       = 20
	defaultGrace       = 30 * time.Second

	// firstWorkers send rows until the first answer: it may show the limits, or that nothing works.
	firstWorkers = 8

	maxBodies = 256 << 20 // bytes of the bodies under way together
)

func (o *Options) defaults() {
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultInFlight
	}
	if o.RowAttempts <= 0 {
		o.RowAttempts = defaultRowAttempts
	}
	if o.First == 0 {
		o.First = defaultFirst
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.InDoubt == "" {
		o.InDoubt = "auto"
	}
}

// early is how many rows may be marked as sent while all places are taken, of each place: the sync
// of a mark takes a part of the time that a request does. A crash leaves them in doubt.
const early = 1.0 / 8

// workers is how many rows have a place or wait for one at most.
func (o Options) workers() int {
	if o.Crash {
		return o.MaxInFlight // the write of a mark takes no time to speak of
	}
	return o.MaxInFlight + int(float64(o.MaxInFlight)*early)
}

// Failures bounds the rows that fail: a number, or a share of the rows that have ended. Zero is no
// bound.
type Failures struct {
	Number int
	Share  float64
}

// judgedFrom is how many rows must have ended before a share of them means something.
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

// Mark marks a row as sent, and reserves what it can cost. The row is sent once Mark has returned
// nil. money.ErrSpent and ErrStopping leave the row as it was.
type Mark func(ctx context.Context, key store.Row, cost money.Amount) error
