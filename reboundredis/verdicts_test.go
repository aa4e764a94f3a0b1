package reboundredis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundredis"
)

// member is a process's breaker in a fleet.
type member struct {
	*breaker.Breaker
	verdicts *reboundredis.Verdicts

	mu      sync.Mutex
	changes []string
	errs    []error
}

// join starts a member. Its breaker opens at the first failure.
func join(t *testing.T, s *server, change ...func(*member)) *member {
	t.Helper()
	m := &member{Breaker: &breaker.Breaker{Failures: 1, Cooldown: 30 * time.Second}}
	m.verdicts = &reboundredis.Verdicts{Client: s.client(), Key: "ocr", OnError: func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.errs = append(m.errs, err)
	}}
	m.OnChange = func(c breaker.Change) {
		m.mu.Lock()
		m.changes = append(m.changes, fmt.Sprintf("%v %v", c.To, c.Why))
		m.mu.Unlock()
		m.verdicts.OnChange(c)
	}
	for _, f := range change {
		f(m)
	}
	if err := m.verdicts.Start(t.Context(), m.Breaker); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.verdicts.Close)
	return m
}

// fail ends a call with a failure.
func (m *member) fail(t *testing.T) {
	t.Helper()
	pass, err := m.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Leave(pass, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient}})
}

func (m *member) history() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.changes, ", ")
}

// subscribed waits until n members have subscribed.
func (s *server) subscribed(n int64) {
	s.tb.Helper()
	c := s.client()
	s.await("the subscriptions", func() bool {
		return c.PubSubNumSub(context.Background(), "ocr").Val()["ocr"] == n
	})
}

func isOpen(m *member) func() bool {
	return func() bool { return m.State() == breaker.Open }
}

// An opening reaches running and starting members, once, and does not come back.
func TestOpeningTravels(t *testing.T) {
	s := start(t)
	first, second := join(t, s), join(t, s)
	s.subscribed(2)
	first.fail(t)
	await(t, "the second breaker to open", isOpen(second))
	third := join(t, s)
	if third.State() != breaker.Open {
		t.Error("a breaker that starts is not open")
	}
	for _, m := range []*member{second, third} {
		if left := m.Snapshot().Remaining; left > 33*time.Second || left < 10*time.Second {
			t.Errorf("the breaker is open for another %v, want about 30s", left)
		}
	}
	// The last opening is read at every new subscription.
	for _, m := range []*member{second, third} {
		m.Reset()
	}
	s.disconnect()
	s.subscribed(3)
	second.fail(t)
	await(t, "the third breaker to open", isOpen(third))
	for m, want := range map[*member]string{
		first:  "open failures in a row",
		second: "open asked for, closed asked for, open failures in a row",
		third:  "open asked for, closed asked for, open asked for",
	} {
		if got := m.history(); got != want {
			t.Errorf("a breaker changed to: %s; want: %s", got, want)
		}
	}
}

// disconnect ends all connections, and keeps the data.
func (s *server) disconnect() {
	for _, kind := range []string{"normal", "pubsub"} {
		s.do("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
	}
}

func TestSubscriptionOutlivesTheServer(t *testing.T) {
	s := start(t)
	first, second := join(t, s), join(t, s)
	s.subscribed(2)
	s.kill()
	s.run()
	s.subscribed(2)
	first.fail(t)
	await(t, "the second breaker to open", isOpen(second))
}

// An opening while Redis is down is sent when Redis is back, and delays no call in the meantime.
func TestOpeningWhileRedisIsGone(t *testing.T) {
	s := start(t)
	first := join(t, s)
	s.kill()
	second := join(t, s)
	first.fail(t)
	s.run()
	await(t, "the second breaker to open", isOpen(second))
	if errs := len(first.errs) + len(second.errs); errs > 0 {
		t.Errorf("errors are reported: %v %v", first.errs, second.errs)
	}
}

// What is not sent, and which breakers do not obey.
func TestWhatDoesNotTravel(t *testing.T) {
	s := start(t)
	sender, observer := join(t, s), join(t, s)
	shadow := join(t, s, func(m *member) { m.Shadow = true })
	forced := join(t, s)
	forced.ForceClose()
	s.subscribed(4)

	shadow.fail(t)
	sender.Trip(time.Minute)
	sender.ForceOpen()
	sender.ForceHalfOpen()
	sender.fail(t) // a probe
	sender.Reset()
	s.do("PUBLISH", "ocr", "opened FORGED")
	s.do("SET", "ocr:open", "somebody's", "PX", "60000")
	s.do("PUBLISH", "ocr", "x")
	s.do("SET", "ocr:open", "opened FOREVER")
	s.do("PUBLISH", "ocr", "x")

	sender.fail(t)
	await(t, "the observer to open", isOpen(observer))
	for m, want := range map[*member]string{
		observer: "open asked for",
		shadow:   "open failures in a row",
		forced:   "closed asked for",
	} {
		if got := m.history(); got != want {
			t.Errorf("a breaker changed to: %s; want: %s", got, want)
		}
	}
}

// An opening of another process is obeyed for at most Max.
func TestMax(t *testing.T) {
	s := start(t)
	s.do("SET", "ocr:open", "opened X", "PX", fmt.Sprint(time.Hour.Milliseconds()))
	for most, limit := range map[time.Duration]time.Duration{
		0: time.Minute, 10 * time.Second: 10 * time.Second,
	} {
		m := join(t, s, func(m *member) { m.verdicts.Max, m.verdicts.Jitter = most, 1e-9 })
		if left := m.Snapshot().Remaining; left > limit || left < limit/2 {
			t.Errorf("Max %v: open for %v", most, left)
		}
	}
}

func TestJitterSpreads(t *testing.T) {
	s := start(t)
	s.do("SET", "ocr:open", "opened X", "PX", fmt.Sprint(time.Hour.Milliseconds()))
	least, most := time.Hour, time.Duration(0)
	for range 40 {
		left := join(t, s, func(m *member) { m.verdicts.Jitter = 0.5 }).Snapshot().Remaining
		least, most = min(least, left), max(most, left)
	}
	if most > 90*time.Second || most < 66*time.Second || least > 54*time.Second {
		t.Errorf("between %v and %v, want about 30s to 90s", least, most)
	}
}

func TestStartFails(t *testing.T) {
	s := start(t)
	s.do("LPUSH", "list:open", "x")
	b := &breaker.Breaker{}
	for _, row := range []struct {
		v    *reboundredis.Verdicts
		want string
	}{
		{&reboundredis.Verdicts{Key: "k"},
			"reboundredis.Verdicts k: Client is nil: want a client of go-redis"},
		{&reboundredis.Verdicts{Client: (*redis.Client)(nil), Key: "k"},
			"reboundredis.Verdicts k: Client is nil: want a client of go-redis"},
		{&reboundredis.Verdicts{Client: s.client()},
			`reboundredis.Verdicts : Key is "": want a name`},
		{&reboundredis.Verdicts{Client: s.client(), Key: "k\n", Jitter: 1},
			`reboundredis.Verdicts "k\n": Jitter is 1: want a share below 1, or 0 for 0.1`},
		{&reboundredis.Verdicts{Client: s.client(), Key: "k", Max: -1},
			"reboundredis.Verdicts k: Max is -1ns: want more than 0, or 0 for 1m"},
		{&reboundredis.Verdicts{Client: s.client(), Key: "list"},
			"verdicts list: redis: WRONGTYPE Operation against a key holding the wrong kind of value"},
		{&reboundredis.Verdicts{Key: "k", Client: s.client(func(o *redis.Options) {
			o.Username, o.Password = "u", "x"
		})}, "verdicts k: redis: WRONGPASS invalid username-password pair or user is disabled."},
	} {
		if err := row.v.Start(t.Context(), b); err == nil || err.Error() != row.want {
			t.Errorf("got %v, want %s", err, row.want)
		}
		row.v.Close()
	}
	v := &reboundredis.Verdicts{Client: s.client(), Key: "k"}
	if err := v.Start(t.Context(), nil); err == nil {
		t.Error("no breaker is not an error")
	}
	if err := v.Start(t.Context(), b); err != nil {
		t.Error(err)
	}
	if err := v.Start(t.Context(), b); err == nil {
		t.Error("a second Start is not an error")
	}
	v.Close()
	v.Close()
	v.OnChange(breaker.Change{From: breaker.Closed, To: breaker.Open})
	if err := v.Start(t.Context(), b); err == nil {
		t.Error("a Start after Close is not an error")
	}
}

// An opening that cannot be sent is reported.
func TestOnError(t *testing.T) {
	s := start(t)
	got := make(chan error, 1)
	m := join(t, s, func(m *member) {
		m.verdicts.OnError = func(err error) { got <- err }
	})
	s.subscribed(1)
	s.do("ACL", "SETUSER", "default", "-set")
	m.fail(t)
	err := <-got
	var own *reboundredis.Error
	if !errors.As(err, &own) || own.Name != "verdicts ocr" ||
		!strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("got %v", err)
	}
}

// An opening reaches only the fleet of its Key, at once. Messages of another version are ignored.
func TestFleetsDoNotMix(t *testing.T) {
	s := start(t)
	keyed := func(key string, db int) *member {
		return join(t, s, func(m *member) {
			m.verdicts.Key = key
			m.verdicts.Client = s.client(func(o *redis.Options) { o.DB = db })
		})
	}
	sender, same := join(t, s), join(t, s)
	others := map[string]*member{"a longer key": keyed("ocr2", 0), "a shorter key": keyed("oc", 0),
		"another prefix": keyed("b:ocr", 0), "the key of the opening": keyed("ocr:open", 0),
		"another database": keyed("ocr", 1)}
	s.subscribed(3)
	for key, value := range map[string]string{
		"ocr:open": "opened2 X", "ocr2:open": "", "oc:open": "{\"open\":1}", "b:ocr:open": "Opened X",
	} {
		s.do("SET", key, value, "PX", "60000")
		s.do("PUBLISH", strings.TrimSuffix(key, ":open"), "opened X")
	}
	begun := time.Now()
	sender.fail(t)
	await(t, "the breaker of the same fleet to open", isOpen(same))
	t.Logf("an opening took %v", time.Since(begun))
	last := join(t, s) // has looked after the others were sent to
	await(t, "one that starts to be open", isOpen(last))
	for name, m := range others {
		if got := m.history(); got != "" {
			t.Errorf("%s: a breaker changed to: %s", name, got)
		}
	}
}

// A dead connection is detected, and a lost opening is read again.
func TestDeadSubscription(t *testing.T) {
	t.Parallel()
	s := start(t)
	proxy := daemon.NewProxy(t, s.Addr())
	first := join(t, s)
	second := join(t, s, func(m *member) {
		m.verdicts.Client = s.client(func(o *redis.Options) {
			o.Addr, o.ReadTimeout = proxy.Addr, time.Second
		})
	})
	s.subscribed(2)
	proxy.Lose()
	first.fail(t)
	await(t, "the second breaker to open", isOpen(second))
}
