package circuit

// State is the state of a breaker.
type State uint8

// The phases, as package breaker has them.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Word holds the state of a breaker in 64 bits, so that one atomic load shows whether a call may
// pass:
//
//	63 … 32  generation: one more with every change of state
//	31 … 30  state
//	29       forced
//	28       dead: a group has forgotten this breaker
//	27 …  0  closed and open: failures in a row
//	         half-open: times that probes were given up (4), successes (12), probes under way (12)
//
// The zero Word is a closed breaker without failures.
type Word uint64

// The layout of a Word, for code that compares or sets parts of it without unpacking them.
const (
	GenShift     = 32
	stateShift   = 30
	ForcedBit    = 1 << 29
	DeadBit      = 1 << 28
	streakMask   = 1<<28 - 1
	probeBits    = 12
	ProbeMask    = 1<<probeBits - 1
	passedShift  = probeBits
	expiredShift = 2 * probeBits
	expiredMask  = 1<<4 - 1
)

// Gen is the generation.
func (w Word) Gen() uint32 { return uint32(w >> GenShift) }

// State is the phase.
func (w Word) State() State { return State(w >> stateShift & 3) }

// Forced reports whether the state stays until a method changes it.
func (w Word) Forced() bool { return w&ForcedBit != 0 }

// Dead reports whether a group has forgotten this breaker.
func (w Word) Dead() bool { return w&DeadBit != 0 }

// Probing is the number of probes under way, in the half-open state.
func (w Word) Probing() int { return int(w & ProbeMask) }

// Passed is the number of probes that succeeded, in the half-open state.
func (w Word) Passed() int { return int(w >> passedShift & ProbeMask) }

// Plain reports whether the breaker is closed and has no failures.
func (w Word) Plain() bool { return w&(1<<GenShift-1) == 0 }

func (w Word) expired() int    { return int(w >> expiredShift & expiredMask) }
func (w Word) regen() Word     { return Word(w.Gen()+1)<<GenShift | w&(1<<GenShift-1) }
func (w Word) in(s State) Word { return w>>GenShift<<GenShift | Word(s)<<stateShift }

// next is the Word of a new generation in state s, with all counts at zero.
func (w Word) next(s State) Word { return w.regen().in(s) }

// Numbered is w in the generation gen.
func (w Word) Numbered(gen uint32) Word { return Word(gen)<<GenShift | w&(1<<GenShift-1) }

// Stale reports whether a pass is from before the present generation. In a group a pass may also be
// of a later one. The difference is signed, because generations wrap around.
func (w Word) Stale(pass uint64) bool { return int32(w.Gen()-uint32(pass)) > 0 }

// Failures is the number of failures in a row. A half-open breaker counts none.
func (w Word) Failures() int {
	if w.State() == HalfOpen {
		return 0
	}
	return int(w & streakMask)
}

// failed counts one more failure in a row. At the limit it stays, so that no other part changes.
func (w Word) failed() Word {
	if w&streakMask < streakMask {
		w++
	}
	return w
}

// cleared is w without failures in a row.
func (w Word) cleared() Word { return w &^ streakMask }

// Ended is a half-open Word with one probe less under way.
func (w Word) Ended() Word {
	if w.Probing() > 0 {
		w--
	}
	return w
}

// gaveUp begins a generation without probes under way. The successes so far are kept.
func (w Word) gaveUp() Word {
	w = w.regen() &^ ProbeMask
	if w.expired() < expiredMask {
		w += 1 << expiredShift
	}
	return w
}
