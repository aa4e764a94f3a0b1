package limit

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/shed"
)

// Throttle rejects a random share of the attempts while the service accepts few of them. So the
// service does not spend its time on rejections. The share, counted over Window, is
//
//	max(0, (attempts − K · accepted) / (attempts + 1))
//
// The service accepts an attempt if it answers, even with a permanent error. An attempt counts when
// it ends. An attempt that the Throttle rejects counts at once. Attempts that were canceled or
// skipped do not count, and neither do those that a limit or a breaker inside fn rejected.
//
// A Throttle suits a service that rejects some of its callers. After a total outage the share falls
// only slowly, because few attempts are admitted and only those can succeed. A breaker in the same
// policy prevents that: it opens first, and attempts that it rejects do not count.
//
// The zero Throttle is ready to use. Goroutines and policies may share a Throttle. Once it is in
// use, do not copy it or change its fields. The formula is from "Handling Overload" in Site
// Reliability Engineering (Beyer et al., 2016).
type Throttle struct {
	// Name is the limit's name in errors and snapshots.
	Name string

	// K is the ratio of attempts to accepted attempts above which the Throttle rejects. 0 = 2.
	K float64

	// Window is the time over which attempts count. 0 = 2 min.
	Window time.Duration

	// MinCalls is the number of attempts in Window before any is rejected. 0 = 10.
	MinCalls int

	failing  atomic.Bool // some attempt in the window was not accepted
	rejected atomic.Uint64
	err      atomic.Pointer[Error]

	mu     sync.Mutex
	window shed.Window // guarded by mu
}

// Enter admits the attempt, or rejects it with an [*Error]. It never waits.
//
// While the service accepts everything, Enter reads one word: no clock, and no random number.
func (t *Throttle) Enter(context.Context) (gate.Pass, error) {
	if !t.failing.Load() || t.admit(clock.Now()) {
		return gate.Pass{}, nil
	}
	t.rejected.Add(1)
	return gate.Pass{}, t.rejection()
}

// admit is Enter for a window with failures, which may be old enough by now to be dropped.
func (t *Throttle) admit(now time.Duration) bool {
	c := t.config()
	t.mu.Lock()
	defer t.mu.Unlock()
	admitted := t.window.Enter(&c, now, rand.Float64())
	t.failing.Store(!t.window.Clean())
	return admitted
}

// Leave counts the attempt by its outcome.
func (t *Throttle) Leave(_ gate.Pass, o gate.Outcome) {
	accepted, counted := shed.Judge(o)
	if !counted {
		return
	}
	c, now := t.config(), clock.Now()
	t.mu.Lock()
	t.window.Leave(&c, now, accepted)
	if !accepted {
		t.failing.Store(true)
	}
	t.mu.Unlock()
}

// Refusal returns nil, because attempts are rejected at random.
func (t *Throttle) Refusal(time.Duration) error { return nil }

// Busy reports whether attempts are being rejected, which a new Throttle would not do.
func (t *Throttle) Busy() bool { return t.Snapshot().Limit < 1 }

// Snapshot returns the state of the limit now.
func (t *Throttle) Snapshot() Snapshot {
	c := t.config()
	t.mu.Lock()
	share := t.window.Share(&c, clock.Now())
	t.mu.Unlock()
	return Snapshot{
		Name: t.Name, Kind: "throttle", Limit: 1 - share, Rejected: t.rejected.Load(),
	}
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (t *Throttle) Validate() error {
	switch {
	case t.K != 0 && !(t.K >= 1 && finite(t.K)):
		return invalid("Throttle", t.Name, "K", t.K, "1 or more, or 0 for 2")
	case t.Window < 0 || t.Window > 0 && t.Window < shed.Tenths:
		return invalid("Throttle", t.Name, "Window", t.Window, "10ns or more, or 0 for 2m")
	case t.MinCalls < 0:
		return invalid("Throttle", t.Name, "MinCalls", t.MinCalls, "1 or more, or 0 for 10")
	}
	return nil
}

func (t *Throttle) config() shed.Config {
	return shed.Config{K: t.K, Window: t.Window, MinCalls: t.MinCalls}
}

func (t *Throttle) rejection() error {
	return theError(&t.err, Error{
		Name: t.Name, is: ErrShed, kind: fault.Overloaded, detail: "the service accepts too few",
	})
}
