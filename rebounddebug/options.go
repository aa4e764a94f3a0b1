package rebounddebug

import (
	"iter"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/stats"
)

// Options describes what the page shows. The zero Options is valid. The fields must not be changed
// once the page is served.
type Options struct {
	// Title is the program's name on the page. Empty = "rebound".
	Title string

	// Hosts are the host names of the page, without ports, such as "debug.example.com". Localhost and
	// IP addresses are always accepted. A request for any other host gets the status 421.
	Hosts []string

	// Policies are shown in this order, with their breakers and limits, including those among their
	// gates. Each policy should have its own name, because counts are found by name.
	Policies []*rebound.Policy

	// Breakers are shown in addition to those of the policies.
	Breakers []Breaker

	// Groups are groups of breakers: see [Group]. They are read anew for each update of the page. The
	// page shows at most 100 breakers, and those that are not closed first. The JSON has all of them
	// with ?all.
	Groups []iter.Seq[Breaker]

	// Limits are shown in addition to those of the policies.
	Limits []Limit

	// LimitGroups are groups of limits: see [Values]. They are read anew for each update of the page.
	// The page shows at most 100 limits, and those that delay or reject attempts first.
	LimitGroups []iter.Seq[limit.Snapshot]

	// Hedges are shown in this order.
	Hedges []*hedge.Hedge

	// Recorder holds the counts and the last failures. The policies must call its Observe. The page
	// also shows policies that are only in the Recorder. Nil = no counts.
	Recorder *stats.Recorder

	// Changes holds the recent changes of the breakers, which must call its OnChange. Nil = only the
	// last change of each breaker is shown.
	Changes *Changes

	// ControlToken is a password. With it, people can force breakers into a state and reset them: on
	// the page, or by a POST with the header "Authorization: Bearer TOKEN". Make a new token for each
	// run, for example with rand.Text of crypto/rand. The page also reads it from the end of its
	// address, #token=TOKEN, which browsers do not send to servers. Empty = the page is read-only.
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

// Group yields the breakers that a group holds now, for [Options.Groups].
func Group[K comparable](g *breaker.Group[K]) iter.Seq[Breaker] {
	return func(yield func(Breaker) bool) {
		for key := range g.All() {
			if !yield(g.For(key)) {
				return
			}
		}
	}
}

// Limit is a limit that the page can show, such as any limit of package limit.
type Limit interface {
	// Snapshot returns the state of the limit.
	Snapshot() limit.Snapshot
}

// Values yields the states in a limit group's All, without the keys, for [Options.LimitGroups].
func Values[K any](all iter.Seq2[K, limit.Snapshot]) iter.Seq[limit.Snapshot] {
	return func(yield func(limit.Snapshot) bool) {
		all(func(_ K, s limit.Snapshot) bool { return yield(s) })
	}
}

// orZero returns a zero policy for a nil one, which means the same everywhere.
func orZero(p *rebound.Policy) *rebound.Policy {
	if p == nil {
		return new(rebound.Policy)
	}
	return p
}
