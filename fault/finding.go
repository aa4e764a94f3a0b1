package fault

import "time"

// reader returns what it finds in an error of the type that it was made for. It is pure. It may
// call the error's methods, which may panic; the walk recovers.
type reader func(err error) finding

// rank is how much a finding proves. The finding with the highest rank decides, and among equals
// the outermost. A weak finding yields to any finding inside its own error, because the cause is
// more specific.
type rank uint8

const (
	nothing rank = iota
	hint         // a fact worth showing that decides nothing: Kind Unknown
	weak         // general, such as "it timed out"
	fact         // particular, such as a status or a system error number
	code         // the server's own code, which is more than the status that came with it
)

// reach is what an error shows about the errors that it wraps. The outermost error with a reach
// decides.
type reach uint8

const (
	neverSent  reach = 1 + iota // the call did not leave: a dial failed
	underWay                    // there was a connection
	redirected                  // what is wrapped may be the failure of a later request
)

// flags are facts for predicates such as IsTimeout. All flags in a tree count, while only one kind
// does.
type flags uint8

const (
	timeout    flags = 1 << iota // something took too long
	connection                   // no connection could be made, or it broke
	final                        // a layer below has retried already
	retry                        // the error states that it may be retried
	noRetry                      // the error states that it must not be retried
	local                        // Sent holds only if there was no connection yet
)

// finding is what one reader found in one error of a tree. A finding is a value without pointers to
// the error, so that making one costs no allocation.
type finding struct {
	rank   rank
	kind   Kind
	sent   Sent
	reach  reach
	flags  flags
	after  time.Duration
	detail string
}

// found makes a finding of a Fault. It has the rank of a fact, since only statuses and their like
// become Faults inside this package.
func found(f Fault) finding {
	return finding{rank: fact, kind: f.Kind, sent: f.Sent, after: f.After, detail: f.Detail}
}

// applyRetryHint lets an error's own retry or noRetry flag override the kind. Answers and
// cancellation keep their kind, because a server's hint cannot change these facts. RateLimited and
// Overloaded keep theirs when the hint is to retry, because their longer delays still apply.
func applyRetryHint(k Kind, hints flags) Kind {
	switch k {
	case None, Canceled:
		return k
	}
	switch {
	case hints&noRetry != 0:
		return Permanent
	case hints&retry != 0 && (k == Unknown || k == Permanent):
		return Transient
	}
	return k
}
