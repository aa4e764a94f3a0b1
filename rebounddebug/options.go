package rebounddebug

import (
	"iter"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/stats"
)

// Options describes what the page shows. Every field may be empty. The fields must not be changed
// once the page is served.
type Options struct {
	// Title is the program's name on the page. Empty = "rebound".
	Title string

	// Hosts are the names under which browsers reach the page, without ports, such as
	// "debug.example.com". Localhost and IP addresses are always accepted. Requests for any other host
	// get the status 421.
	Hosts []string

	// Policies are shown in this order, with their breakers and limits, including those among their
	// gates. A policy should have a name, because its counts are found by name.
	Policies []*rebound.Policy

	// Breakers are shown in addition to those of the policies.
	Breakers []Breaker

	// Groups are read each time the page is: see [Group]. At most 100 breakers are shown, those that
	// are not closed first. The JSON has all of them with ?all.
	Groups []iter.Seq[Breaker]

	// Limits are shown in addition to those of the policies.
	Limits []Limit

	// LimitGroups are read each time the page is: see [Values]. At most 100 limits are shown, those
	// that hold something back first.
	LimitGroups []iter.Seq[limit.Snapshot]

	// Hedges are shown in this order.
	Hedges []*hedge.Hedge

	// Recorder holds the counts and the last failures. It must be the one whose Observe the policies
	// call. Policies that are counted there but not in Policies are shown as well. Nil = no counts.
	Recorder *stats.Recorder

	// Changes holds the recent changes of the breakers. It must be the one whose OnChange they call.
	// Nil = only the last change of each breaker is shown.
	Changes *Changes

	// ControlToken allows people who have it to force breakers open or closed and to reset them: on
	// the page, or with a POST that has the header "Authorization: Bearer TOKEN". Make a new token for
	// each run, for example with rand.Text of crypto/rand. It may be appended to the page's address as
	// #token=TOKEN, which browsers do not send. Empty = the page is read-only.
	ControlToken string
}

// Breaker is a breaker that the page can show and control, such as a [breaker.Breaker] or a breaker
// of a [breaker.Group].
type Breaker interface {
	// Snapshot returns the state of the breaker.
	Snapshot() breaker.Snapshot
	// ForceOpen and the methods below are called only if ControlToken is set.
	ForceOpen()
	ForceClose()
	ForceHalfOpen()
	Reset()
}

// Group yields the breakers that a group holds at the time, for [Options.Groups].
func Group[K comparable](g *breaker.Group[K]) iter.Seq[Breaker] {
	return func(yield func(Breaker) bool) {
		for key := range g.All() {
			if !yield(g.For(key)) {
				return
			}
		}
	}
}

// Limit is a limit that the page can show. All limits of package limit are.
type Limit interface {
	// Snapshot returns the state of the limit.
	Snapshot() limit.Snapshot
}

// Values yields the states of a limit group's All without their keys, for [Options.LimitGroups].
func Values[K any](all iter.Seq2[K, limit.Snapshot]) iter.Seq[limit.Snapshot] {
	return func(yield func(limit.Snapshot) bool) {
		all(func(_ K, s limit.Snapshot) bool { return yield(s) })
	}
}

// orZero returns a zero policy for a nil one, which means the same. A nil policy in the list is
// legal, as everywhere.
func orZero(p *rebound.Policy) *rebound.Policy {
	if p == nil {
		return new(rebound.Policy)
	}
	return p
}
