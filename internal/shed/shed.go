// Package shed is the bare form of a client-side throttle: it counts how many recent calls the
// server has accepted, and computes the share of the next calls that the client rejects. A
// limit.Throttle keeps one [Window] behind a mutex. The simulator keeps one for each of its
// processes, in virtual time.
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

// Tenths is the number of parts of a window. A call counts for at least nine of them, and for less
// than ten.
const Tenths = 10

// Config is what throttles of one kind share. Each 0 means its default.
type Config struct {
	K        float64       // calls for each accepted one before any is rejected
	Window   time.Duration // of the counts
	MinCalls int           // in the window before any is rejected
}

// Window counts the calls in a sliding window of time. The zero Window is empty.
type Window struct {
	tenths [Tenths]counts
	sum    counts
	newest int64 // the number of the newest tenth
}

type counts struct{ calls, accepted uint64 }

// Judge returns what an outcome counts as. The server has accepted a call if it answered, even with
// a permanent error. A call that was canceled or skipped does not count. A call that was rejected
// on the client's side does not count either, because it did not reach the server.
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

// Share returns the share of the calls that is rejected at now: max(0, (calls − K·accepted) /
// (calls + 1)).
func (w *Window) Share(c *Config, now time.Duration) float64 {
	w.age(c, now)
	if w.sum.calls < uint64(c.minCalls()) {
		return 0
	}
	calls := float64(w.sum.calls)
	return max(0, (calls-float64(c.k()*float64(w.sum.accepted)))/(calls+1))
}

// Enter admits or rejects a call; u in [0, 1) is a random number. A rejected call counts at once,
// so that the share stays high only while calls arrive. An admitted call counts when it ends,
// because its outcome is not known before.
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

// Clean reports whether all counted calls were accepted. While that is so, the share stays 0
// whatever time passes.
func (w *Window) Clean() bool { return w.sum.calls == w.sum.accepted }

// count keeps the sum as well as the tenths, so that Share need not add them up for every call.
func (w *Window) count(accepted bool) {
	t := &w.tenths[w.newest%Tenths]
	t.calls++
	w.sum.calls++
	if accepted {
		t.accepted++
		w.sum.accepted++
	}
}

// age drops the tenths that are too old at now. A now before the newest tenth, from a goroutine
// that was overtaken, changes nothing.
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
		return min(c.K, math.MaxFloat64) // infinity times 0 would be NaN
	}
	return DefaultK
}

func (c *Config) minCalls() int {
	if c.MinCalls > 0 {
		return c.MinCalls
	}
	return DefaultMinCalls
}

// tenth is the length of a tenth, at least a nanosecond.
func (c *Config) tenth() time.Duration {
	if c.Window > 0 {
		return max(c.Window/Tenths, 1)
	}
	return DefaultWindow / Tenths
}
