package fault

import "time"

// reader returns what it finds in an error of the type that it was made for. It is pure.
type reader func(err error) finding

// rank says how much a finding proves. The highest wins, and among equals the outermost, except
// that what a weak finding wraps is better informed than the finding itself.
type rank uint8

const (
	nothing rank = iota
	hint         // a fact worth showing that decides nothing: Kind Unknown
	weak         // general, such as "it timed out"
	fact         // particular, such as a status or a system error number
	code         // the server's own code, which is more than the status that came with it
)

// reach is what an error shows about all that it wraps; the outermost that shows anything decides.
type reach uint8

const (
	neverSent  reach = 1 + iota // the call did not leave: a dial failed
	underWay                    // a connection stood
	redirected                  // what is wrapped may be the failure of a later request
)

// flags are facts that predicates ask for.
type flags uint8

const (
	timeout    flags = 1 << iota // something took too long
	connection                   // no connection could be made, or it broke
	final                        // a layer below has retried already
	retry                        // the error states that it may be retried
	noRetry                      // the error states that it must not be retried
	local                        // Sent holds only if no connection stood yet
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

// found makes a finding of a fault. It is a fact, as only statuses and the like are made Faults
// here.
func found(f Fault) finding {
	return finding{rank: fact, kind: f.Kind, sent: f.Sent, after: f.After, detail: f.Detail}
}

// applyRetryHint lets an error's own retry or noRetry flag outrank what its kind is otherwise.
// Answers and cancellation stay what they are: no server can know better. A hint to retry makes no
// limit or overload Transient, whose delays are longer for good reason.
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
