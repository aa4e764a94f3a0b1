package rebounddebug

import (
	"net/http"
	"time"
)

const (
	// Each watcher holds a connection and a goroutine.
	maxClients   = 16
	defaultEvery = time.Second
	heartbeat    = 15 * time.Second // within the minute that proxies wait, as a rule
	writeTimeout = 10 * time.Second // for a client that does not read
)

// stream sends the state as server-sent events: at once, and whenever it has changed. In between it
// sends a heartbeat from time to time, so that both sides notice if the other is gone.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	// Each watcher holds a connection, so their number is bounded.
	defer p.clients.Add(-1)
	if p.clients.Add(1) > maxClients {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many are watching", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would collect events
	// A HEAD request wants the headers only, and would otherwise never end.
	if r.Method == http.MethodHead {
		return
	}
	client := http.NewResponseController(w)
	var last look
	var sent time.Time
	for {
		now := p.feed.look()
		event := now.event
		// Nothing has changed. A page that is not looked at costs one heartbeat in 15 s.
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

// send writes an event. The event has a time limit of its own, whatever the server's timeout is.
func send(client *http.ResponseController, w http.ResponseWriter, event []byte) error {
	_ = client.SetWriteDeadline(time.Now().Add(writeTimeout)) // some writers have none
	if _, err := w.Write(event); err != nil {
		return err
	}
	err := client.Flush()
	// No limit between events: the server's own WriteTimeout would end a stream that is meant to last.
	_ = client.SetWriteDeadline(time.Time{})
	return err
}
