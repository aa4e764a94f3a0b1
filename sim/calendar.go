package sim

import (
	"math/bits"
	"slices"
	"time"
)

// calendar holds the future events: each is a time and an entity's number. The time of the run is
// divided into buckets, whose heads fit into the processor's cache. A bucket is sorted when its
// time comes. Events that are added to it after that go into a heap. An event is one word, with its
// time in the bucket in the upper half and its entity in the lower half. So events at the same time
// are in the order of their entities.
type calendar struct {
	end    time.Duration // nothing is kept from here on
	shift  int           // a bucket is 1<<shift ns wide
	heads  []uint32      // each bucket's newest chunk, and how full that is; 0 = empty
	chunks []chunk       // [0] is not used
	free   uint32        // the first of the chunks to be used again

	now    int      // the bucket under way
	sorted []uint64 // its events,
	done   int      // the number of these that are over
	late   minHeap  // the events added since
	bucket []uint64 // its events, not sorted
	groups []uint32 // their places
}

// chunk is a part of a bucket. All chunks but the newest are full.
type chunk struct {
	events [chunkSize]uint64
	next   uint32
}

const (
	chunkBits = 5
	chunkSize = 1<<chunkBits - 1
)

// newCalendar returns an empty calendar for a run that ends at end.
func newCalendar(end time.Duration) calendar {
	// A run of up to nine hours has at most 8,191 buckets, whose heads fill 32 KB. A longer one has
	// more, as a bucket is at most 2³² ns wide: an event has 32 bits for its time in the bucket.
	shift := min(max(bits.Len64(uint64(end))-13, 0), 32)
	return calendar{
		end: end, shift: shift,
		heads:  make([]uint32, uint64(end)>>shift+1),
		chunks: make([]chunk, 1, 64),
	}
}

// push adds an event. Events at the end of the run or later are dropped, because nothing would read
// them.
func (c *calendar) push(at time.Duration, id uint32) {
	if at >= c.end {
		return
	}
	b := int(at >> c.shift)
	// A bucket is at most 2³² ns wide, so the time within it fits the upper half.
	event := uint64(at)&(1<<c.shift-1)<<32 | uint64(id)
	// The bucket under way is sorted already.
	if b == c.now {
		c.late.push(event)
		return
	}
	// A head is the newest chunk's number above its count of events, so that adding 1 counts one more.
	head := c.heads[b]
	n := head & chunkSize
	if head == 0 || n == chunkSize {
		head, n = c.grow(head>>chunkBits)<<chunkBits, 0
	}
	c.chunks[head>>chunkBits].events[n] = event
	c.heads[b] = head + 1
}

// grow returns an empty chunk to stand before chunk next. Chunks of past buckets are used first, so
// the calendar grows with the number of pending events, not with the number of all events.
func (c *calendar) grow(next uint32) uint32 {
	i := c.free
	// No chunk is free, so the calendar grows by one.
	if i == 0 {
		i = uint32(len(c.chunks))
		c.chunks = append(c.chunks, chunk{next: next})
		return i
	}
	ch := &c.chunks[i]
	c.free, ch.next = ch.next, next
	return i
}

// pop removes the first event, unless its time is limit or later. It never looks at buckets after
// the one that holds limit, because events may still be added to those.
func (c *calendar) pop(limit time.Duration) (at time.Duration, id uint32, ok bool) {
	for c.done == len(c.sorted) && len(c.late) == 0 {
		// There is no event before limit. The bucket of limit stays unsorted, because it may still get
		// events.
		if c.now >= int(min(limit, c.end-1)>>c.shift) {
			return 0, 0, false
		}
		c.now++
		if c.heads[c.now] != 0 {
			c.open()
		}
	}
	// Both sources are in order: the smaller of their first events is next.
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

// open sorts the events of the bucket whose time has come, and frees its chunks.
func (c *calendar) open() {
	c.bucket = c.bucket[:0]
	head := c.heads[c.now]
	c.heads[c.now] = 0
	// The newest chunk comes first, and is the only one that may not be full.
	for i, n := head>>chunkBits, head&chunkSize; i != 0; n = chunkSize {
		ch := &c.chunks[i]
		c.bucket = append(c.bucket, ch.events[:n]...)
		i, ch.next, c.free = ch.next, c.free, i
	}
	c.sort()
}

// sort fills sorted from bucket. A counting sort by the highest bits of the time does most of the
// work in two passes. Only the few events that share a group are compared.
func (c *calendar) sort() {
	n := len(c.bucket)
	c.sorted, c.done = slices.Grow(c.sorted[:0], n)[:n], 0
	// 4 to 8 events to a group, on average.
	width := min(bits.Len(uint(n/8)), c.shift)
	by := 32 + c.shift - width
	c.groups = slices.Grow(c.groups[:0], 1<<width+1)[:1<<width+1]
	clear(c.groups)
	for _, event := range c.bucket {
		c.groups[event>>by+1]++
	}
	// From counts to places: a group begins where those before it end.
	for g := range 1 << width {
		c.groups[g+1] += c.groups[g]
	}
	for _, event := range c.bucket {
		g := &c.groups[event>>by]
		c.sorted[*g] = event
		*g++
	}
	// Filling moved each group's place to its end.
	first := uint32(0)
	for _, last := range c.groups[:1<<width] {
		if last-first > 1 {
			slices.Sort(c.sorted[first:last])
		}
		first = last
	}
}

// minHeap is a heap with its smallest number first. Each node has four children. That makes it half
// as deep as with two, and a node's children share a cache line. push and pop move a hole instead
// of swapping, which halves the writes.
type minHeap []uint64

// push adds a number. Larger numbers on its way up move down.
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

// pop removes the smallest number.
func (h *minHeap) pop() {
	s := *h
	// The last number fills the hole that the smallest leaves, and moves down to its place.
	v := s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return
	}
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
