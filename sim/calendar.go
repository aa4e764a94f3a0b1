package sim

import (
	"math/bits"
	"slices"
	"time"
)

// calendar holds the events to come, one for each entity: a time and the entity's number. Time is
// cut into buckets, for the whole run; a bucket is sorted when its time comes. What is added to
// the bucket that is under way goes into a small heap beside it. An event is one word, its time
// within the bucket above its entity: so equal times are in the entities' order, always.
type calendar struct {
	end    time.Duration // nothing is kept from here on
	shift  uint          // a bucket is 1<<shift ns wide
	heads  []uint32      // the newest chunk of each bucket; 0 = none
	chunks []chunk       // [0] is not used
	free   uint32        // the first of the chunks to be used again

	now    int      // the bucket under way
	sorted []uint64 // its events,
	done   int      // of which so many are over,
	late   minHeap  // and those added since
}

// chunk is a part of a bucket; it fills two cache lines.
type chunk struct {
	next, n uint32
	events  [15]uint64
}

// newCalendar returns a calendar for about that many events, evenly spread.
func newCalendar(end time.Duration, events int) calendar {
	buckets := min(max(events/16, 1<<10), 1<<20)
	width := max(uint64(end)/uint64(buckets), 1)
	shift := uint(min(bits.Len64(width), 32))
	return calendar{
		end: end, shift: shift,
		heads:  make([]uint32, uint64(end)>>shift+1),
		chunks: make([]chunk, 1, 64),
	}
}

func (c *calendar) push(at time.Duration, id uint32) {
	if at >= c.end {
		return
	}
	b := int(at >> c.shift)
	event := uint64(at)&(1<<c.shift-1)<<32 | uint64(id)
	if b == c.now {
		c.late.push(event)
		return
	}
	i := c.heads[b]
	if i == 0 || c.chunks[i].n == uint32(len(chunk{}.events)) {
		i = c.grow(i)
		c.heads[b] = i
	}
	ch := &c.chunks[i]
	ch.events[ch.n] = event
	ch.n++
}

// grow returns an empty chunk to stand before chunk next.
func (c *calendar) grow(next uint32) uint32 {
	i := c.free
	if i == 0 {
		i = uint32(len(c.chunks))
		c.chunks = append(c.chunks, chunk{next: next})
		return i
	}
	ch := &c.chunks[i]
	c.free = ch.next
	ch.next, ch.n = next, 0
	return i
}

// pop removes the first event, unless that comes at limit or later. It never looks at buckets
// after the one that limit is in: events may still be pushed into those.
func (c *calendar) pop(limit time.Duration) (at time.Duration, id uint32, ok bool) {
	for c.done == len(c.sorted) && len(c.late) == 0 {
		if c.now >= int(min(limit, c.end-1)>>c.shift) {
			return 0, 0, false
		}
		c.now++
		if c.heads[c.now] != 0 {
			c.open()
		}
	}
	late := c.done == len(c.sorted) ||
		len(c.late) > 0 && c.late[0] < c.sorted[c.done]
	var event uint64
	if late {
		event = c.late[0]
	} else {
		event = c.sorted[c.done]
	}
	at = time.Duration(uint64(c.now)<<c.shift + event>>32)
	if at >= limit {
		return 0, 0, false
	}
	if late {
		c.late.pop()
	} else {
		c.done++
	}
	return at, uint32(event), true
}

// open sorts the events of the bucket that is now under way, and frees its chunks.
func (c *calendar) open() {
	c.sorted, c.done = c.sorted[:0], 0
	for i := c.heads[c.now]; i != 0; {
		ch := &c.chunks[i]
		c.sorted = append(c.sorted, ch.events[:ch.n]...)
		next := ch.next
		ch.next, c.free = c.free, i
		i = next
	}
	c.heads[c.now] = 0
	slices.Sort(c.sorted)
}

// minHeap has its smallest number first; each node has four children, which are neighbors in
// memory.
type minHeap []uint64

func (h *minHeap) push(v uint64) {
	*h = append(*h, v)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 4
		if s[up] <= v {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = v
}

func (h *minHeap) pop() {
	s := *h
	last := s[len(s)-1]
	*h = s[:len(s)-1]
	if len(s) > 1 {
		h.replace(last)
	}
}

// replace puts v in the place of the smallest number.
func (h *minHeap) replace(v uint64) {
	s := *h
	i := 0
	for {
		least := 4*i + 1
		if least >= len(s) {
			break
		}
		for j := least + 1; j < min(4*i+5, len(s)); j++ {
			if s[j] < s[least] {
				least = j
			}
		}
		if s[least] >= v {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = v
}
