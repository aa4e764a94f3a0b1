package rebounddebug

import (
	"net/http"
	"time"
)

const (
	maxClients   = 16
	defaultEvery = time.Second
	heartbeat    = 15 * time.Second // within the minute that proxies wait, as a rule
	writeTimeout = 10 * time.Second // for a client that does not read
)

// stream sends the state as server-sent events: at once, whenever it has changed, and now and then
// a heartbeat in between, so that either side finds out if the other is gone.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	// Each watcher costs a connection, so their number is bounded.
	defer p.clients.Add(-1)
	if p.clients.Add(1) > maxClients {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many are watching", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect events
	if r.Method == http.MethodHead {
		return
	}
	client := http.NewResponseController(w)
	var last look
	var sent time.Time
	for {
		now := p.feed.look()
		event := now.event
		if now.version == last.version {
			event = nil
			if time.Since(sent) >= heartbeat {
				event = []byte("event: heartbeat\ndata:\n\n")
			}
		}
		if event != nil {
			last, sent = now, time.Now()
			if send(client, w, event) != nil {
				return
			}
		}
		select {
		case <-time.After(p.feed.untilNext()):
		case <-r.Context().Done():
			return
		}
	}
}

// send writes an event, for which it has a time of its own, whatever the server's timeout is.
func send(client *http.ResponseController, w http.ResponseWriter, event []byte) error {
	_ = client.SetWriteDeadline(time.Now().Add(writeTimeout)) // some writers have none
	if _, err := w.Write(event); err != nil {
		return err
	}
	err := client.Flush()
	_ = client.SetWriteDeadline(time.Time{})
	return err
}
