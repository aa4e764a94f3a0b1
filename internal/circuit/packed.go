package circuit

// State is a phase of a breaker.
type State uint8

// The phases, as package breaker has them.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Word holds everything about a breaker that fits 64 bits, so that one atomic load shows whether
// a call may pass:
//
//	63 … 32  generation: one more with every change of state
//	31 … 30  state
//	29       forced
//	28       dead: a group has forgotten this breaker (see Group)
//	27 …  0  closed and open: failures in a row
//	         half-open: times that probes were given up (4), successes (12), probes under way (12)
//
// The zero Word is a closed breaker without failures.
type Word uint64

// Places in a Word, for code that compares or sets its parts without unpacking them.
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

// Forced reports whether the phase stays until a method asks for another.
func (w Word) Forced() bool { return w&ForcedBit != 0 }

// Dead reports whether a group has forgotten this breaker.
func (w Word) Dead() bool { return w&DeadBit != 0 }

// Probing is the number of probes under way, of a half-open breaker.
func (w Word) Probing() int { return int(w & ProbeMask) }

// Passed is the number of probes that succeeded, of a half-open breaker.
func (w Word) Passed() int { return int(w >> passedShift & ProbeMask) }

// Plain reports whether the breaker is closed, without failures.
func (w Word) Plain() bool { return w&(1<<GenShift-1) == 0 }

func (w Word) expired() int    { return int(w >> expiredShift & expiredMask) }
func (w Word) regen() Word     { return Word(w.Gen()+1)<<GenShift | w&(1<<GenShift-1) }
func (w Word) in(s State) Word { return w>>GenShift<<GenShift | Word(s)<<stateShift }

// next is the Word of the generation that begins in state s, with all counts zero.
func (w Word) next(s State) Word { return w.regen().in(s) }

// Numbered is w in the generation gen.
func (w Word) Numbered(gen uint32) Word { return Word(gen)<<GenShift | w&(1<<GenShift-1) }

// Stale reports whether a pass was given out before the present generation. In a group it may
// also be of a later one (see Group), and generations wrap round.
func (w Word) Stale(pass uint64) bool { return int32(w.Gen()-uint32(pass)) > 0 }

// Failures in a row; a half-open breaker counts none.
func (w Word) Failures() int {
	if w.State() == HalfOpen {
		return 0
	}
	return int(w & streakMask)
}

// failed counts one more failure in a row.
func (w Word) failed() Word {
	if w&streakMask < streakMask {
		w++
	}
	return w
}

// cleared has no failures in a row.
func (w Word) cleared() Word { return w &^ streakMask }

// Ended is a half-open Word with a probe less under way.
func (w Word) Ended() Word {
	if w.Probing() > 0 {
		w--
	}
	return w
}

// gaveUp begins a generation in which no probe is under way; successes so far stay.
func (w Word) gaveUp() Word {
	w = w.regen() &^ ProbeMask
	if w.expired() < expiredMask {
		w += 1 << expiredShift
	}
	return w
}
