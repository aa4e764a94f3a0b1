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

// Window collects samples for one second, and until it has ten of them. The zero Window is empty.
type Window struct {
	end    time.Duration
	cut    time.Duration // the time of the last overload
	sum    time.Duration // of the latencies
	served int
	drops  int
	late   int // drops that began before the last overload
	peak   int
	open   bool // Add has begun the window: end is set
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
		w.open, w.end = true, now+windowLength
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
	if now < w.end || w.samples() < windowCalls {
		return Summary{}, false
	}
	return w.close(now), true
}

func (w *Window) samples() int { return w.served + w.drops + w.late }

// Merge adds that many attempts with that sum of latencies, which were served while the window was
// open or shortly before. It neither begins nor completes a window.
func (w *Window) Merge(served int, sum time.Duration) {
	w.served += served
	w.sum += sum
}

// Open returns the time at which the window is complete if it holds enough samples by then. It also
// returns the largest number of attempts in flight so far. Both are 0 if it has not begun.
func (w *Window) Open() (end time.Duration, peak int) {
	if !w.open {
		return 0, 0
	}
	return w.end, w.peak
}

// close returns the summary of the window and empties it.
func (w *Window) close(now time.Duration) Summary {
	few := dropShare * float64(w.samples())
	s := Summary{
		Peak:       w.peak,
		Overloaded: float64(w.drops) > few,
		Recovering: float64(w.drops+w.late) > few,
	}
	if w.served > 0 {
		s.Latency = max(w.sum/time.Duration(w.served), 1)
	}
	// The time of the last overload is all that the next window needs of this one.
	next := Window{cut: w.cut, after: w.after}
	if s.Overloaded {
		next.cut, next.after = now, true
	}
	*w = next
	return s
}
