package rebounddebug

import (
	"iter"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/stats"
)

// Options are what the page shows. Every field may be empty. They must not be changed once the page
// is served.
type Options struct {
	// Title is the program's name on the page. Empty means "rebound".
	Title string

	// Hosts are the names by which browsers reach the page, without ports, such as
	// "debug.example.com". Localhost and IP addresses are always accepted. Requests for another
	// host have the status 421.
	Hosts []string

	// Policies are shown in this order, together with the breakers and limits around them, those
	// among their gates included. A policy should have a name: that is how its counts are found.
	Policies []*rebound.Policy

	// Breakers are shown beside those of the policies.
	Breakers []Breaker

	// Groups are read whenever the page is: see [Group]. Of all breakers 100 are shown, those that
	// are not closed first. JSON has all of them with ?all.
	Groups []iter.Seq[Breaker]

	// Limits are shown beside those of the policies.
	Limits []Limit

	// LimitGroups are read whenever the page is: see [Values]. Of all limits 100 are shown, those
	// that hold something back first.
	LimitGroups []iter.Seq[limit.Snapshot]

	// Hedges are shown in this order.
	Hedges []*hedge.Hedge

	// Recorder has the counts and the last failures: the one whose Observe the policies call.
	// Its other policies are shown as well. Nil: there are no counts.
	Recorder *stats.Recorder

	// Changes has the recent history of the breakers: the one whose OnChange they call. Nil: only
	// the last change of each is known.
	Changes *Changes

	// ControlToken allows its holders to force breakers open or closed and to reset them: on the
	// page, or by POST with the header "Authorization: Bearer TOKEN". Make a new one for each
	// run, such as rand.Text() of crypto/rand; it may be given to the page behind its address, as
	// #token=TOKEN, which browsers do not send. Empty: the page is read-only.
	ControlToken string
}

// Breaker is what the page must know of a breaker: a [breaker.Breaker] and the breakers of a
// [breaker.Group] are such.
type Breaker interface {
	// Snapshot says how it is.
	Snapshot() breaker.Snapshot
	// ForceOpen and those below are called only if the program has set a ControlToken.
	ForceOpen()
	ForceClose()
	ForceHalfOpen()
	Reset()
}

// Group goes through the breakers that a group remembers at the time, for [Options.Groups].
func Group[K comparable](g *breaker.Group[K]) iter.Seq[Breaker] {
	return func(yield func(Breaker) bool) {
		for key := range g.All() {
			if !yield(g.For(key)) {
				return
			}
		}
	}
}

// Limit is what the page must know of a limit: all of package limit are such.
type Limit interface {
	// Snapshot returns the state of this moment.
	Snapshot() limit.Snapshot
}

// Values drops the keys of a limit group's All, for [Options.LimitGroups].
func Values[K any](all iter.Seq2[K, limit.Snapshot]) iter.Seq[limit.Snapshot] {
	return func(yield func(limit.Snapshot) bool) {
		all(func(_ K, s limit.Snapshot) bool { return yield(s) })
	}
}

// orZero returns a zero policy for a nil one, which means the same.
func orZero(p *rebound.Policy) *rebound.Policy {
	if p == nil {
		return new(rebound.Policy)
	}
	return p
}
