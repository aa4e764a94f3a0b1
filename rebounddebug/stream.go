package rebounddebug

import (
	"net/http"
	"time"
)

const (
	// Each watcher holds a connection and a goroutine.
	maxClients   = 16
	defaultEvery = time.Second
	heartbeat    = 15 * time.Second // less than the minute that most proxies wait
	writeTimeout = 10 * time.Second // for a client that does not read
)

// stream sends the state as server-sent events: at once, and after every change. Without changes it
// sends heartbeats, so that each side detects if the other is gone.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	// Each watcher holds a connection and a goroutine, so their number is bounded.
	defer p.clients.Add(-1)
	if p.clients.Add(1) > maxClients {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many open pages: close one, or try again later", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // otherwise nginx delays events
	// A HEAD request gets only the headers. Otherwise it would never end.
	if r.Method == http.MethodHead {
		return
	}
	client := http.NewResponseController(w)
	var last look
	var sent time.Time
	for {
		now := p.feed.look()
		event := now.event
		// Without a change, a page costs one heartbeat in 15 s.
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

// send writes an event, with its own time limit instead of the server's WriteTimeout.
func send(client *http.ResponseController, w http.ResponseWriter, event []byte) error {
	_ = client.SetWriteDeadline(time.Now().Add(writeTimeout)) // some writers do not support deadlines
	if _, err := w.Write(event); err != nil {
		return err
	}
	err := client.Flush()
	// There is no limit between events, because the server's WriteTimeout would end the stream.
	_ = client.SetWriteDeadline(time.Time{})
	return err
}
