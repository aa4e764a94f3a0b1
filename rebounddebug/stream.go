package rebounddebug

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	// Each watcher costs a connection and a snapshot a second, so their number is bounded.
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
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	var last []byte
	var sent time.Time
	for {
		event, body := p.event(last, time.Since(sent))
		if event != nil {
			last, sent = body, time.Now()
			if send(client, w, event) != nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// send writes an event, for which it has a time of its own, whatever the server's time-out is.
func send(client *http.ResponseController, w http.ResponseWriter, event []byte) error {
	_ = client.SetWriteDeadline(time.Now().Add(writeTimeout)) // some writers have none
	if _, err := w.Write(event); err != nil {
		return err
	}
	err := client.Flush()
	_ = client.SetWriteDeadline(time.Time{})
	return err
}

// event returns what there is to send, if anything, to a client that was sent the state last, so
// long ago, and the state that it has then.
func (p *page) event(last []byte, ago time.Duration) (event, body []byte) {
	s := p.state()
	// Compared without the time, which always differs.
	body, err := json.Marshal(s)
	switch {
	case err != nil:
		return fmt.Appendf(nil, "event: problem\ndata: %q\n\n", err.Error()), last
	case !bytes.Equal(body, last):
		data, _ := json.Marshal(dated{time.Now(), s})
		return fmt.Appendf(nil, "event: state\ndata: %s\n\n", data), body
	case ago >= heartbeat:
		return []byte("event: heartbeat\ndata:\n\n"), last
	}
	return nil, last
}
