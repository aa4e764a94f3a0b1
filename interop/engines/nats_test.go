package engines

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// settler settles JetStream messages as the policy decides.
type settler struct {
	*rebound.Policy
	js   jetstream.JetStream
	dead string // the subject, of another stream, for messages whose retries have ended
}

// settle acknowledges, delays or terminates a message. err is the result of the work.
func (s settler) settle(ctx context.Context, msg jetstream.Msg, err error) error {
	if err == nil { // Ack even if the worker stops; a lost Ack causes a redelivery
		return msg.DoubleAck(context.WithoutCancel(ctx))
	}
	meta, invalid := msg.Metadata()
	if invalid != nil {
		return invalid
	}
	d := s.Decide(rebound.State{
		Attempt: int(meta.NumDelivered), U: rand.Float64(), Durable: true,
	}, s.Fault(ctx, err))
	switch {
	case d.Retry:
		return msg.NakWithDelay(d.Delay)
	case d.Reason == rebound.Canceled:
		return msg.Nak() // this worker stops; another one goes on
	}
	letter := &nats.Msg{Subject: s.dead, Data: msg.Data(), Header: nats.Header{}}
	maps.Copy(letter.Header, msg.Headers())
	letter.Header.Set("Error", err.Error())
	if _, err := s.js.PublishMsg(ctx, letter); err != nil {
		return err // the message comes again after AckWait
	}
	return msg.TermWithReason(string(d.Reason))
}

// natsRun is a NATS server with JetStream and one worker.
type natsRun struct {
	t      *testing.T
	dir    string
	port   int
	server *server.Server
	config jetstream.ConsumerConfig
	user   string // "" = no password
	js     jetstream.JetStream
	closed chan error // the connection is closed

	mu   sync.Mutex
	at   []time.Time   // the deliveries
	term chan string   // the reasons of messages that were ended
	done chan struct{} // a message is acknowledged
}

func (n *natsRun) start() {
	n.t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: n.port, JetStream: true,
		StoreDir: n.dir, NoLog: true, NoSigs: true, Username: n.user, Password: n.user})
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		n.t.Fatal("the server is not ready")
	}
	n.server, n.port = s, s.Addr().(*net.TCPAddr).Port
}

func (n *natsRun) stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// natsConsumer is that of the page.
var natsConsumer = jetstream.ConsumerConfig{
	Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy,
	AckWait:    time.Second, // longer than the work, or it is done twice
	MaxDeliver: -1,          // the policy counts; beyond MaxDeliver a message stays for ever
}

// runNATS publishes a message, and settles each of its deliveries by p and the error of work. An
// error of errDied stands for a worker that is killed: it does not settle.
func runNATS(
	t *testing.T, p *rebound.Policy, work func(n *natsRun, m jetstream.Msg) error,
) *natsRun {
	t.Helper()
	return runNATSWith(t, p, natsConsumer, work)
}

func runNATSWith(
	t *testing.T, p *rebound.Policy, config jetstream.ConsumerConfig,
	work func(n *natsRun, m jetstream.Msg) error,
) *natsRun {
	t.Helper()
	n := &natsRun{t: t, dir: t.TempDir(), port: -1, config: config, closed: make(chan error, 1),
		term: make(chan string, 10), done: make(chan struct{}, 10)}
	n.start()
	t.Cleanup(func() { n.stop() })
	conn, err := nats.Connect(n.server.ClientURL(), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond),
		nats.ClosedHandler(func(c *nats.Conn) { n.closed <- c.LastError() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if n.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"MSG_TERMINATED", "MAX_DELIVERIES"} {
		_, err = conn.Subscribe("$JS.EVENT.ADVISORY.CONSUMER."+kind+".>", func(m *nats.Msg) {
			event := struct{ Reason string }{kind}
			_ = json.Unmarshal(m.Data, &event)
			n.term <- event.Reason
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c := n.consumer()
	s := settler{p, n.js, "dead.receipt"}
	cc, err := c.Consume(func(m jetstream.Msg) { n.work(s, m, work) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cc.Stop)
	letter := &nats.Msg{Subject: "jobs.receipt", Data: []byte("paper"),
		Header: nats.Header{"Of": {"Ann"}}}
	if _, err := n.js.PublishMsg(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	return n
}

// consumer makes the streams of jobs and of dead letters, and the worker's consumer.
func (n *natsRun) consumer() jetstream.Consumer {
	n.t.Helper()
	for name, retention := range map[string]jetstream.RetentionPolicy{
		"jobs": jetstream.WorkQueuePolicy, "dead": jetstream.LimitsPolicy,
	} {
		_, err := n.js.CreateStream(n.t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{name + ".>"}, Retention: retention,
		})
		if err != nil {
			n.t.Fatal(err)
		}
	}
	c, err := n.js.CreateConsumer(n.t.Context(), "jobs", n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// stored returns the number of messages in a stream.
func (n *natsRun) stored(stream string) uint64 {
	n.t.Helper()
	s, err := n.js.Stream(n.t.Context(), stream)
	if err != nil {
		n.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// delivery is the number of a message's delivery, from 1.
func delivery(m jetstream.Msg) uint64 {
	meta, err := m.Metadata()
	if err != nil {
		return 0
	}
	return meta.NumDelivered
}

var (
	errDied  = errors.New("killed")
	errStops = errors.New("stopping")
)

func (n *natsRun) work(
	s settler, m jetstream.Msg, work func(*natsRun, jetstream.Msg) error,
) {
	n.mu.Lock()
	n.at = append(n.at, time.Now())
	n.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := work(n, m)
	switch err {
	case errDied:
		return
	case nil:
		cancel() // a worker that stops acknowledges what it has done
	case errStops:
		cancel()
	}
	if e := s.settle(ctx, m, err); e != nil {
		n.t.Log("settle:", e)
	} else if err == nil {
		n.done <- struct{}{}
	}
}

// acked waits for the message's end, and returns the times of its deliveries.
func (n *natsRun) acked() []time.Time {
	n.t.Helper()
	select {
	case <-n.done:
	case reason := <-n.term:
		n.t.Fatal("the message was ended: ", reason)
	case <-time.After(30 * time.Second):
		n.t.Fatal("no message was acknowledged")
	}
	return n.deliveries()
}

// deliveries returns the times of the message's deliveries.
func (n *natsRun) deliveries() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.at)
}

// ended waits until the message is ended. It is a dead letter then.
func (n *natsRun) ended(reason rebound.Reason, deliveries int) {
	n.t.Helper()
	select {
	case got := <-n.term:
		if at := n.deliveries(); got != string(reason) || len(at) != deliveries {
			n.t.Errorf("ended for %q after %d deliveries", got, len(at))
		}
	case <-time.After(30 * time.Second):
		n.t.Fatal("no message was ended")
	}
	s, err := n.js.Stream(n.t.Context(), "dead")
	if err != nil {
		n.t.Fatal(err)
	}
	letter, err := s.GetMsg(n.t.Context(), 1)
	if err != nil {
		n.t.Fatal(err)
	}
	if string(letter.Data) != "paper" || letter.Header.Get("Of") != "Ann" ||
		letter.Header.Get("Error") != errReset.Error() || n.stored("jobs") != 0 {
		n.t.Errorf("dead letter %q, %v, %d jobs", letter.Data, letter.Header, n.stored("jobs"))
	}
}

func TestNATS(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(10 * time.Millisecond)}
	first := func(err error) func(*natsRun, jetstream.Msg) error {
		return func(_ *natsRun, m jetstream.Msg) error {
			if delivery(m) == 1 {
				return err
			}
			return nil
		}
	}
	t.Run("permanent", func(t *testing.T) {
		runNATS(t, p, first(rebound.Permanent(errReset))).ended(rebound.NotRetryable, 1)
	})
	t.Run("exhausted", func(t *testing.T) {
		n := runNATS(t, p, func(*natsRun, jetstream.Msg) error { return errReset })
		n.ended(rebound.Exhausted, 3)
	})
	t.Run("in doubt", func(t *testing.T) {
		once := &rebound.Policy{NonIdempotent: true}
		runNATS(t, once, first(errReset)).ended(rebound.NotIdempotent, 1)
	})
	t.Run("Retry-After", func(t *testing.T) {
		at := runNATS(t, p, first(rebound.RetryAfter(errReset, 300*time.Millisecond))).acked()
		if d := at[1].Sub(at[0]); len(at) != 2 || d < 300*time.Millisecond {
			t.Errorf("%d deliveries, the second after %v", len(at), d)
		}
	})
	t.Run("worker killed", func(t *testing.T) {
		at := runNATS(t, p, first(errDied)).acked()
		if d := at[1].Sub(at[0]); len(at) != 2 || d < natsConsumer.AckWait*9/10 {
			t.Errorf("%d deliveries, the second after %v", len(at), d)
		}
	})
	t.Run("worker stops", func(t *testing.T) {
		hour := &rebound.Policy{Attempts: 1, Backoff: backoff.Constant(time.Hour)}
		at := runNATS(t, hour, first(errStops)).acked()
		if len(at) != 2 || at[1].Sub(at[0]) > 500*time.Millisecond {
			t.Errorf("deliveries at %v", at)
		}
	})
}

func TestNATSGone(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(10 * time.Millisecond)}
	t.Run("server gone in the middle", func(t *testing.T) {
		at := runNATS(t, p, func(n *natsRun, m jetstream.Msg) error {
			if delivery(m) == 1 {
				n.stop()
				n.start()
				return errReset
			}
			return nil
		}).acked()
		if len(at) < 2 {
			t.Errorf("%d deliveries", len(at))
		}
	})
	t.Run("no place for dead letters", func(t *testing.T) {
		lost := runNATS(t, p, func(n *natsRun, m jetstream.Msg) error {
			if delivery(m) == 1 {
				if err := n.js.DeleteStream(n.t.Context(), "dead"); err != nil {
					n.t.Error(err)
				}
				return rebound.Permanent(errReset)
			}
			return nil
		}).acked()
		if len(lost) != 2 {
			t.Errorf("%d deliveries of a message that could not be stored", len(lost))
		}
	})
}

// Work that takes longer than AckWait is delivered once if it reports its progress.
func TestNATSInProgress(t *testing.T) {
	for _, reports := range []bool{true, false} {
		n := runNATS(t, &rebound.Policy{}, func(_ *natsRun, m jetstream.Msg) error {
			for range 6 {
				<-time.After(natsConsumer.AckWait / 4)
				if !reports {
					continue
				} else if err := m.InProgress(); err != nil {
					return err
				}
			}
			return nil
		})
		if at := n.acked(); reports && len(at) != 1 {
			t.Errorf("%d deliveries of work in progress", len(at))
		}
		if reports {
			continue
		}
		select { // the second delivery, which was not needed
		case <-n.done:
		case <-time.After(10 * time.Second):
			t.Error("work without reports was delivered once")
		}
	}
}

// A message that passes MaxDeliver gets an advisory and stays. No settle sees it.
func TestNATSMaxDeliver(t *testing.T) {
	config := natsConsumer
	config.MaxDeliver, config.AckWait = 2, 100*time.Millisecond
	n := runNATSWith(t, &rebound.Policy{Attempts: 5}, config,
		func(*natsRun, jetstream.Msg) error { return errDied })
	if reason := <-n.term; reason != "MAX_DELIVERIES" || len(n.deliveries()) != 2 {
		t.Errorf("%q after %d deliveries", reason, len(n.deliveries()))
	}
	if jobs, dead := n.stored("jobs"), n.stored("dead"); jobs != 1 || dead != 0 {
		t.Errorf("%d messages are left, %d are dead", jobs, dead)
	}
}

// A wrong password is an error, also one that becomes wrong while a worker runs.
func TestNATSWrongPassword(t *testing.T) {
	n := runNATS(t, &rebound.Policy{}, func(*natsRun, jetstream.Msg) error { return nil })
	n.acked()
	n.stop()
	n.user = "user"
	n.start()
	select {
	case err := <-n.closed:
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("the connection was closed for %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the worker continues without a password")
	}
	_, err := nats.Connect(n.server.ClientURL(), nats.UserInfo("user", "wrong"))
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("got %v", err)
	}
}
