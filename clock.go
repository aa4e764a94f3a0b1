package rebound

import "time"

// start is the time when a call began. It is one look at the clock, which its first deadline also
// uses.
type start struct {
	mono time.Duration // on the clock of now
	at   time.Time     // zero if the policy has no timeout
}

// startOf is the start of a call by p that begins now.
func startOf(p *Policy) start {
	switch {
	case p.MaxElapsed|p.AttemptTimeout > 0:
		at := time.Now()
		return start{mono: at.Sub(epoch), at: at}
	case p.timed():
		return start{mono: now()}
	}
	return start{}
}

// ago is the time since s.
func (s *start) ago() time.Duration { return now() - s.mono }

var epoch = time.Now()

// now is a clock for differences of times. It costs half as much as time.Now.
func now() time.Duration { return time.Since(epoch) }
