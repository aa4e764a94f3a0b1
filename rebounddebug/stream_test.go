package rebounddebug_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// client is the ResponseWriter of a watcher. It fails after a number of events, if that is not 0.
type client struct {
	mu     sync.Mutex
	begin  time.Time
	header http.Header
	status int
	breaks int
	events []string // "5s state {…}"
}

func (c *client) Header() http.Header    { return c.header }
func (c *client) WriteHeader(status int) { c.status = status }
func (c *client) Flush()                 {}

func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.breaks > 0 && len(c.events) >= c.breaks {
		return 0, errors.New("broken pipe")
	}
	event := strings.TrimPrefix(strings.TrimSuffix(string(p), "\n\n"), "event: ")
	c.events = append(c.events, time.Since(c.begin).String()+" "+
		strings.Replace(event, "\ndata:", "", 1))
	return len(p), nil
}

// times are the moments and kinds of the events.
func (c *client) times() (times []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		at, rest, _ := strings.Cut(e, " ")
		kind, _, _ := strings.Cut(rest, " ")
		times = append(times, at+" "+kind)
	}
	return times
}

// follow has a client watch until ctx ends. Then it closes the channel.
func follow(ctx context.Context, h http.Handler, breaks int) (*client, <-chan struct{}) {
	c := &client{begin: time.Now(), header: http.Header{}, breaks: breaks}
	over := make(chan struct{})
	go func() {
		defer close(over)
		h.ServeHTTP(c, httptest.NewRequest(http.MethodGet, address+"events", nil).WithContext(ctx))
	}()
	return c, over
}

// One event comes at once, another when something has changed, and a heartbeat when nothing has.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recorder stats.Recorder
		b := &breaker.Breaker{Name: "b"}
		h := rebounddebug.Handler(rebounddebug.Options{
			Recorder: &recorder, Breakers: []rebounddebug.Breaker{b},
		})
		ctx, cancel := context.WithCancel(t.Context())
		c, over := follow(ctx, h, 0)
		time.Sleep(3500 * time.Millisecond)
		recorder.Observe(ctx, rebound.Event{Kind: rebound.Succeeded, Policy: "p", Attempt: 1})
		time.Sleep(5 * time.Second)
		b.ForceOpen()
		time.Sleep(32 * time.Second)
		cancel()
		<-over
		want := "0s state, 4s state, 9s state, 24s heartbeat, 39s heartbeat"
		if got := strings.Join(c.times(), ", "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var v view
		_, data, _ := strings.Cut(c.events[2], "state ")
		if err := json.Unmarshal([]byte(data), &v); err != nil || v.Breakers[0].State != "open" ||
			v.Total.Calls != 1 || !v.Time.Equal(c.begin.Add(9*time.Second)) {
			t.Errorf("the third event is %s: %v", data, err)
		}
		if got := c.header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("Content-Type is %q, want text/event-stream", got)
		}
	})
}

// At most sixteen clients may watch. One that does not read is dropped for another.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rebounddebug.Handler(rebounddebug.Options{Recorder: new(stats.Recorder)})
		ctx, cancel := context.WithCancel(t.Context())
		_, hungUp := follow(ctx, h, 1)
		for range 15 {
			follow(ctx, h, 0)
		}
		synctest.Wait()
		c, over := follow(ctx, h, 0)
		<-over
		if c.status != http.StatusServiceUnavailable || c.header.Get("Retry-After") == "" {
			t.Errorf("the seventeenth: status %d, %v; want 503", c.status, c.header)
		}
		<-hungUp // at the first heartbeat
		c, over = follow(ctx, h, 0)
		time.Sleep(time.Second)
		if got := strings.Join(c.times(), ", "); got != "0s state" {
			t.Errorf("after one has left: %q, want a state", got)
		}
		cancel()
		<-over
		synctest.Wait()
	})
}

// counted is a breaker that counts its snapshots.
type counted struct {
	*breaker.Breaker
	looks *atomic.Int64
}

func (c counted) Snapshot() breaker.Snapshot {
	c.looks.Add(1)
	return c.Breaker.Snapshot()
}

// However many clients watch, the state is computed once per tick, and is the same for all.
func TestWatchersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		b := counted{&breaker.Breaker{Name: "b"}, &looks}
		h := rebounddebug.Handler(rebounddebug.Options{Breakers: []rebounddebug.Breaker{b}})
		ctx, cancel := context.WithCancel(t.Context())
		var clients []*client
		var ends []<-chan struct{}
		for range 12 {
			c, over := follow(ctx, h, 0)
			clients, ends = append(clients, c), append(ends, over)
			time.Sleep(70 * time.Millisecond) // they come at different times
		}
		time.Sleep(4500*time.Millisecond - 12*70*time.Millisecond)
		b.ForceOpen()
		time.Sleep(2 * time.Second)
		cancel()
		for i, over := range ends {
			<-over
			late, err := time.ParseDuration(strings.Fields(clients[i].events[1])[0])
			if at := late + time.Duration(i)*70*time.Millisecond; at != 5*time.Second || err != nil {
				t.Errorf("watcher %d has the change after %v, want 5s: %v", i, at, err)
			}
			_, last, _ := strings.Cut(clients[i].events[1], " ")
			if first := clients[0].events[1]; len(clients[i].events) != 2 ||
				!strings.HasSuffix(first, last) {
				t.Errorf("watcher %d has %q, the first %q", i, clients[i].events, first)
			}
		}
		if n := looks.Load(); n != 7 {
			t.Errorf("%d snapshots in 6.5 s, want 7: one for each tick", n)
		}
	})
}
