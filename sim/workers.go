package sim

import "time"

// door is the gate number of a place that waits for a worker of the layer itself, after all gates
// of the layer above.
const door = 255

// receive takes a call into a layer. It returns false if the call was rejected, or has to wait for
// a worker or for the layer's own work.
func (x *engine) receive(id uint32, level int, now time.Duration) bool {
	if x.layers[level].workers == nil {
		return x.work(id, level, now)
	}
	what, due := x.workersOf(id, level).enter(id, now, x.contextEnd(id, level), nil)
	switch what {
	// The attempt counts toward MaxAttempts, as one that a breaker rejects does.
	case rejected:
		x.tally.at(now).Shed++
		x.count(now)
		x.fail(id, level-1, now, shut, nil)
		return false
	case queued:
		at := &x.places[id]
		at.level, at.gate, at.waits = uint8(level), door, true
		x.queueing++
		x.wakeLater(id, due)
		return false
	}
	return x.work(id, level, now)
}

// work does a layer's own work before it calls the next layer. It returns false if the work takes
// time. If the caller gives up in the meantime, the call ends there and its worker is free.
func (x *engine) work(id uint32, level int, now time.Duration) bool {
	e, end := &x.entities[id], x.contextEnd(id, level)
	done := now + x.layers[level].service.draw(&e.random)
	e.level = uint8(level)
	switch {
	// A turn may come at the moment at which the caller gives up.
	case done >= end:
		x.later(id, max(end, now), doGiveUp)
	case done > now:
		x.later(id, done, doEnter)
	default:
		return true
	}
	return false
}

// giveUp ends a call that a layer works on, or that waits for a worker, because its caller's
// attempt has ended.
func (x *engine) giveUp(id uint32, level int, now time.Duration) {
	x.tally.at(now).Shed++
	if at := x.placeAt(id); at != nil && at.waits {
		x.workersOf(id, level).line.remove(id)
		at.waits, at.gate = false, 0
		x.queueing--
	} else {
		x.release(id, level, now)
	}
	x.fail(id, level-1, now, expired, nil)
}

// placeAt is where an entity waits, or nil in a scenario in which none ever waits.
func (x *engine) placeAt(id uint32) *place {
	if x.places == nil {
		return nil
	}
	return &x.places[id]
}
