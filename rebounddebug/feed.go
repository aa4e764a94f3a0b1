package rebounddebug

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// feed computes what all watchers are sent: once in each tick, by the first of them that asks.
type feed struct {
	options *Options
	every   time.Duration // a tick
	began   time.Time     // of the first

	mu   sync.Mutex // guards all below
	tick int64
	last look
	body []byte // of last, without the time, which always differs
}

// look is the state of one tick.
type look struct {
	version int64 // one more with every change; 0 = none yet
	event   []byte
}

// look returns the state of this tick.
func (f *feed) look() look {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Watchers wake at the beginning of a tick together, so what they share is fresh.
	if tick := 1 + int64(time.Since(f.began)/f.every); tick != f.tick {
		f.tick = tick
		f.update()
	}
	return f.last
}

// update looks at everything. The caller holds f.mu.
func (f *feed) update() {
	now := time.Now()
	// Marshaled once: the time is added to the text.
	body, err := json.Marshal(f.options.state(shown))
	if err != nil {
		// The text is a JSON string as well.
		body, _ = json.Marshal(err.Error())
	}
	if bytes.Equal(body, f.body) {
		return
	}
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

// untilNext is the time until the next tick begins.
func (f *feed) untilNext() time.Duration {
	return f.every - time.Since(f.began)%f.every
}
