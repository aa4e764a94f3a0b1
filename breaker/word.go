package breaker

// word holds everything about a breaker that fits 64 bits, so that one atomic load tells whether
// a call may pass:
//
//	63 … 32  generation: one more with every change of state
//	31 … 30  state
//	29       forced
//	28       dead: a group has forgotten this breaker (see Group)
//	27 …  0  closed and open: failures in a row
//	         half-open: times that probes were given up (4), successes (12), probes under way (12)
//
// The zero word is a closed breaker without failures.
type word uint64

const (
	genShift     = 32
	stateShift   = 30
	forcedBit    = 1 << 29
	deadBit      = 1 << 28
	streakMask   = 1<<28 - 1
	probeBits    = 12
	probeMask    = 1<<probeBits - 1
	passedShift  = probeBits
	expiredShift = 2 * probeBits
	expiredMask  = 1<<4 - 1
)

func (w word) gen() uint32     { return uint32(w >> genShift) }
func (w word) state() State    { return State(w >> stateShift & 3) }
func (w word) forced() bool    { return w&forcedBit != 0 }
func (w word) dead() bool      { return w&deadBit != 0 }
func (w word) probing() int    { return int(w & probeMask) }
func (w word) passed() int     { return int(w >> passedShift & probeMask) }
func (w word) expired() int    { return int(w >> expiredShift & expiredMask) }
func (w word) plain() bool     { return w&(1<<genShift-1) == 0 } // closed, without failures
func (w word) regen() word     { return word(w.gen()+1)<<genShift | w&(1<<genShift-1) }
func (w word) in(s State) word { return w>>genShift<<genShift | word(s)<<stateShift }

// next is the word of the generation that begins in state s, with all counts zero.
func (w word) next(s State) word { return w.regen().in(s) }

// numbered is w in the generation gen.
func (w word) numbered(gen uint32) word { return word(gen)<<genShift | w&(1<<genShift-1) }

// stale reports whether a pass was given out before the present generation. In a group it may
// also be of a later one (see Group), and generations wrap round.
func (w word) stale(pass uint64) bool { return int32(w.gen()-uint32(pass)) > 0 }

// failures in a row; a half-open breaker counts none.
func (w word) failures() int {
	if w.state() == HalfOpen {
		return 0
	}
	return int(w & streakMask)
}

// failed counts one more failure in a row.
func (w word) failed() word {
	if w&streakMask < streakMask {
		w++
	}
	return w
}

// cleared has no failures in a row.
func (w word) cleared() word { return w &^ streakMask }

// ended is a half-open word with a probe less under way.
func (w word) ended() word {
	if w.probing() > 0 {
		w--
	}
	return w
}

// gaveUp begins a generation in which no probe is under way; successes so far stay.
func (w word) gaveUp() word {
	w = w.regen() &^ probeMask
	if w.expired() < expiredMask {
		w += 1 << expiredShift
	}
	return w
}
