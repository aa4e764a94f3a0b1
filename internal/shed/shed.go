// Package shed is the bare form of a client-side throttle: how many of the last calls the server
// has accepted, and the share of the next ones that is rejected on the client's side. A
// limit.Throttle keeps one [Window] under a mutex; the simulator keeps one for each of its
// processes, in a time of its own.
//
// The formula is from "Handling Overload" in Site Reliability Engineering (Beyer et al., 2016).
package shed

import (
	"math"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Defaults of a Config's fields.
const (
	DefaultK        = 2
	DefaultWindow   = 2 * time.Minute
	DefaultMinCalls = 10
)

// Tenths is the number of parts of a window: a call counts for at least nine of them, and for less
// than ten.
const Tenths = 10

// Config is what throttles of one kind have in common. Each 0 means its default.
type Config struct {
	K        float64       // calls for each accepted one before any is rejected
	Window   time.Duration // of the counts
	MinCalls int           // in the window before any is rejected
}

// Window counts the calls of a time that goes along. The zero Window is empty.
type Window struct {
	tenths [Tenths]counts
	sum    counts
	newest int64 // the number of the newest tenth
}

type counts struct{ calls, accepted uint64 }

// Judge returns what an outcome counts as. The server accepted a call if it answered, even with a
// permanent error. A call that was canceled or skipped does not count, and neither does one that
// the client's side rejected: the server was not asked.
func Judge(o gate.Outcome) (accepted, counted bool) {
	switch {
	case o.Result == gate.OK:
		return true, true
	case o.Result == gate.Skipped:
		return false, false
	}
	asked := o.Fault.Sent != fault.NotSent
	switch o.Fault.Kind {
	case fault.None, fault.Permanent:
		return asked, asked
	case fault.RateLimited, fault.Overloaded:
		return false, asked
	}
	return false, o.Fault.Kind != fault.Canceled
}

// Share returns the share of the calls that is rejected at the time now:
// max(0, (calls − K·accepted) / (calls + 1)).
func (w *Window) Share(c *Config, now time.Duration) float64 {
	w.age(c, now)
	if w.sum.calls < uint64(c.minCalls()) {
		return 0
	}
	calls := float64(w.sum.calls)
	return max(0, (calls-float64(c.k()*float64(w.sum.accepted)))/(calls+1))
}

// Enter admits or rejects a call, where u in [0, 1) is the draw. A rejected call counts at once:
// the share stays high only as long as calls come. One that is admitted counts when it ends, as its
// way out is not known before.
func (w *Window) Enter(c *Config, now time.Duration, u float64) bool {
	if u >= w.Share(c, now) {
		return true
	}
	w.count(false)
	return false
}

// Leave counts an admitted call that ended.
func (w *Window) Leave(c *Config, now time.Duration, accepted bool) {
	w.age(c, now)
	w.count(accepted)
}

// Clean reports whether all calls that were counted have been accepted. As long as it is so, no
// time that passes can make the share more than 0.
func (w *Window) Clean() bool { return w.sum.calls == w.sum.accepted }

func (w *Window) count(accepted bool) {
	t := &w.tenths[w.newest%Tenths]
	t.calls++
	w.sum.calls++
	if accepted {
		t.accepted++
		w.sum.accepted++
	}
}

// age drops the tenths that are too old at the time now. A now that is older than the newest tenth,
// from a goroutine that was overtaken, changes nothing.
func (w *Window) age(c *Config, now time.Duration) {
	tenth := int64(now / c.tenth())
	if tenth-w.newest >= Tenths {
		*w = Window{newest: tenth}
		return
	}
	for w.newest < tenth {
		w.newest++
		t := &w.tenths[w.newest%Tenths]
		w.sum.calls -= t.calls
		w.sum.accepted -= t.accepted
		*t = counts{}
	}
}

func (c *Config) k() float64 {
	if c.K > 0 {
		return min(c.K, math.MaxFloat64) // which times 0 is a number
	}
	return DefaultK
}

func (c *Config) minCalls() int {
	if c.MinCalls > 0 {
		return c.MinCalls
	}
	return DefaultMinCalls
}

// tenth is the length of one, at least a nanosecond.
func (c *Config) tenth() time.Duration {
	if c.Window > 0 {
		return max(c.Window/Tenths, 1)
	}
	return DefaultWindow / Tenths
}
