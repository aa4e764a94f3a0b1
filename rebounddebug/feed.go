package rebounddebug

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// feed computes the state that all watchers get. The first watcher of each tick computes it.
type feed struct {
	options *Options
	every   time.Duration // the length of a tick
	began   time.Time     // the start of the first tick

	mu   sync.Mutex // guards all below
	tick int64
	last look
	body []byte // the JSON of last, without the time, which always differs
}

// look is the state at one tick, as an event that is ready to send.
type look struct {
	// version grows by one with every change. 0 = no state yet.
	version int64
	event   []byte
}

// look returns the state of this tick.
func (f *feed) look() look {
	f.mu.Lock()
	defer f.mu.Unlock()
	// All watchers wake at the start of a tick, so the state that they share is fresh.
	if tick := 1 + int64(time.Since(f.began)/f.every); tick != f.tick {
		f.tick = tick
		f.update()
	}
	return f.last
}

// update computes the state. The caller holds f.mu. If nothing has changed, the version stays, so
// that watchers send nothing.
func (f *feed) update() {
	now := time.Now()
	// The state is marshaled without the time, so that unchanged states are equal.
	body, err := json.Marshal(f.options.state(shown))
	if err != nil {
		// The text is a JSON string as well.
		body, _ = json.Marshal(err.Error())
	}
	// Levels of budgets and remaining cooldowns change with time alone, so a busy page changes every
	// tick.
	if bytes.Equal(body, f.body) {
		return
	}
	// If marshaling fails, the page gets the error, so that it does not show an old state.
	f.body = body
	f.last = look{version: f.last.version + 1}
	if err != nil {
		f.last.event = fmt.Appendf(nil, "event: problem\ndata: %s\n\n", body)
		return
	}
	// The time goes in front of the first field.
	stamp, _ := json.Marshal(now)
	f.last.event = fmt.Appendf(nil, "event: state\ndata: {\"time\":%s,%s\n\n", stamp, body[1:])
}

// untilNext returns the time until the next tick.
func (f *feed) untilNext() time.Duration {
	return f.every - time.Since(f.began)%f.every
}
