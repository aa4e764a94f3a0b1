package circuit

// last holds the marks of the last calls, 2 bits for each, in a ring.
type last struct {
	marks []uint64
	size  int // the capacity in calls
	next  int // the index of the next call, which replaces the oldest one in a full ring
}

// marks are the two bits of a call that counts. They are 0 if the call was good and fast.
type marks uint64

const (
	markFailed marks = 1
	markSlow   marks = 2
	markBits         = 2
	perWord          = 64 / markBits
)

// marksOf turns a result into its marks.
func marksOf(r Result) (m marks) {
	if r.Verdict == Bad {
		m |= markFailed
	}
	if r.Slow {
		m |= markSlow
	}
	return m
}

func (m marks) failed() uint32 { return uint32(m & markFailed) }
func (m marks) slow() uint32   { return uint32(m & markSlow / markSlow) }

// newLast allocates all words at once: a window of calls fills up, and never grows after that.
func newLast(size int) *last {
	return &last{marks: make([]uint64, (size+perWord-1)/perWord), size: size}
}

// replace stores a call instead of the oldest one, and returns the marks of the oldest one. They
// are 0 if the ring was not full.
func (l *last) replace(m marks) (old marks) {
	word, shift := &l.marks[l.next/perWord], l.next%perWord*markBits
	old = marks(*word>>shift) & (markFailed | markSlow)
	// One addition sets the new bits and clears the old ones. Both fit into their two bits, so nothing
	// is carried.
	*word += uint64(m)<<shift - uint64(old)<<shift
	if l.next++; l.next == l.size {
		l.next = 0
	}
	return old
}

func (l *last) clear() {
	clear(l.marks)
	l.next = 0
}
