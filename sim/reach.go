package sim

import (
	"fmt"
	"time"
)

// reach makes a request to the server, which ends at expires at the latest. The server handles
// requests in order, so how and when the request ends is certain at once. Its end is therefore its
// only event.
func (x *engine) reach(id uint32, expires, now time.Duration) (time.Duration, cause) {
	e := &x.entities[id]
	// Every request counts, so that a run of too many ends.
	x.count(now)
	replica := 0
	if len(x.server.replicas) > 1 {
		replica = x.replica(id)
	}
	var own *extra
	if x.extras != nil {
		own = &x.extras[id]
	}
	c, at := x.server.arrive(replica, now, expires, own, &e.random)
	if x.server.overfull {
		x.err = x.overfull(now)
	}
	// The server still does its work, as a real one does for a caller that has given up.
	if at >= expires {
		return expires, expired
	}
	return at, c
}

// overfull is the error of more attempts in the server than fit into memory.
func (x *engine) overfull(now time.Duration) error {
	because := fmt.Sprintf("or fewer calls: at %v, more than %d attempts are in the server",
		now, x.server.most)
	// Without workers nothing waits, so only crowding needs memory.
	if x.Server.Workers == 0 {
		return wrong("Server.Crowding", x.Server.Crowding, "less, "+because)
	}
	return wrong("Server.Queue", x.Server.Queue, "a limit, "+because)
}

// replica is the replica that an attempt goes to: the layer has chosen it, or the balancer chooses
// at random.
func (x *engine) replica(id uint32) int {
	bottom := len(x.layers) - 1
	if hosts := uint32(x.layers[bottom].hosts); hosts > 1 {
		return int(x.frame(id, bottom).process % hosts)
	}
	return x.entities[id].random.below(len(x.server.replicas))
}
