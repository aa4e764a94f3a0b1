package adaptive

import (
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

const (
	windowLength = time.Second
	windowCalls  = 10   // the least samples of a window
	dropShare    = 0.05 // of a window's samples may be drops without an overload

	// A window lasts at least this many times its mean latency. In less time mostly the fast ones of
	// the attempts end, so its mean would be too low, and the next one would look like a queue. In the
	// first window all attempts have just begun.
	settling      = 2
	firstSettling = 4
)

// Verdict is what the end of an attempt shows about the server's load.
type Verdict uint8

// The verdicts. An attempt that is Ignored is not a sample.
const (
	Ignored Verdict = iota // canceled, skipped, or failed for another reason
	Served                 // an answer: its latency counts
	Dropped                // rate limited, overloaded or timed out
)

// Judge returns the verdict on an outcome. A failure that proves no overload is Ignored: its time
// has causes of its own.
func Judge(o gate.Outcome) Verdict {
	switch {
	case o.Result == gate.OK:
		return Served
	case o.Result == gate.Skipped:
		return Ignored
	}
	switch o.Fault.Kind {
	case fault.None:
		return Served
	case fault.RateLimited, fault.Overloaded:
		// A rejection by a limit or a breaker on this side shows nothing about the server.
		if o.Fault.Sent == fault.NotSent {
			return Ignored
		}
		return Dropped
	// A timeout is how an overloaded server most often shows itself.
	case fault.Transient, fault.Unknown:
		if o.Fault.Err != nil && fault.IsTimeout(o.Fault.Err) {
			return Dropped
		}
	}
	return Ignored
}

// Sample is an attempt that ended.
type Sample struct {
	Latency  time.Duration
	InFlight int // attempts under way when it began, itself included
	Verdict  Verdict
}

// Summary is what the samples of a complete window show.
type Summary struct {
	Latency    time.Duration // the mean of the attempts served; 0 = none was
	Peak       int           // the most attempts in flight
	Overloaded bool          // more than 5 % were dropped
	Recovering bool          // the same, including those that began before the last overload
}

// Window collects samples for one second and for twice their mean latency, and until it has ten of
// them. The zero Window is empty.
type Window struct {
	begin  time.Duration
	end    time.Duration // it is not complete before, unless attempts are dropped
	cut    time.Duration // the time of the last overload
	sum    time.Duration // of the latencies
	served int
	drops  int
	late   int // drops that began before the last overload
	peak   int
	open   bool // Add has begun the window: begin and end are set
	later  bool // there was a window before
	after  bool // there was an overload: cut is set
}

// Add adds a sample. It returns a summary and true if the window is complete. The next sample
// begins another window, so a pause belongs to none.
//
// A window reports at most one overload, however many of its attempts are dropped. Drops that began
// before the last overload are counted separately, because they met the limit of that time. If they
// cut the limit again, it would fall with the number of its attempts instead of the load.
func (w *Window) Add(now time.Duration, s Sample) (Summary, bool) {
	if s.Verdict == Ignored {
		return Summary{}, false
	}
	if !w.open {
		w.open, w.begin, w.end = true, now, now+windowLength
	}
	switch {
	case s.Verdict == Served:
		w.served++
		w.sum += s.Latency
	// The attempt began before the last cut.
	case w.after && now-s.Latency < w.cut:
		w.late++
	default:
		w.drops++
	}
	w.peak = max(w.peak, s.InFlight)
	if now < w.begin+windowLength || w.samples() < windowCalls {
		return Summary{}, false
	}
	overloaded := w.many(w.drops)
	if now < w.end && !(overloaded && s.Verdict == Dropped) {
		return Summary{}, false
	}
	if w.end = w.settled(); now < w.end && !overloaded {
		return Summary{}, false
	}
	return w.close(now), true
}

// settled is when the mean latency so far represents all attempts. An overload does not wait for
// it.
func (w *Window) settled() time.Duration {
	if w.later {
		return w.begin + settling*w.mean()
	}
	return w.begin + firstSettling*w.mean()
}

// mean is the mean latency of the attempts served, or 0 if none was.
func (w *Window) mean() time.Duration {
	if w.served == 0 {
		return 0
	}
	return max(w.sum/time.Duration(w.served), 1)
}

// many reports whether that many drops are more than a few of the samples.
func (w *Window) many(drops int) bool {
	return float64(drops) > float64(dropShare*float64(w.samples()))
}

func (w *Window) samples() int { return w.served + w.drops + w.late }

// Merge adds that many attempts with that sum of latencies, which were served while the window was
// open or shortly before. It neither begins nor completes a window.
func (w *Window) Merge(served int, sum time.Duration) {
	w.served += served
	w.sum += sum
}

// Open returns the time before which attempts that are served do not complete the window. It also
// returns the largest number of attempts in flight so far. Both are 0 if it has not begun.
func (w *Window) Open() (end time.Duration, peak int) {
	if !w.open {
		return 0, 0
	}
	return w.end, w.peak
}

// close returns the summary of the window and empties it.
func (w *Window) close(now time.Duration) Summary {
	s := Summary{
		Latency:    w.mean(),
		Peak:       w.peak,
		Overloaded: w.many(w.drops),
		Recovering: w.many(w.drops + w.late),
	}
	// The next window needs the time of the last overload.
	next := Window{cut: w.cut, after: w.after, later: true}
	if s.Overloaded {
		next.cut, next.after = now, true
	}
	*w = next
	return s
}
