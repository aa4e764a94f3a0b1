package engines

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// settle ends a message of JetStream as the policy decides. The error is the work's.
func settle(ctx context.Context, p *rebound.Policy, msg jetstream.Msg, err error) error {
	if err == nil {
		return msg.DoubleAck(ctx) // an Ack that is lost is another delivery
	}
	meta, invalid := msg.Metadata()
	if invalid != nil {
		return invalid
	}
	d := p.Decide(rebound.State{
		Attempt: int(meta.NumDelivered), U: rand.Float64(), Durable: true,
	}, p.Fault(ctx, err))
	switch {
	case d.Retry:
		return msg.NakWithDelay(d.Delay)
	case d.Reason == rebound.Canceled:
		return msg.Nak() // this worker stops; another one goes on
	}
	return msg.TermWithReason(string(d.Reason))
}

// natsRun is a NATS server with JetStream and one worker.
type natsRun struct {
	t      *testing.T
	dir    string
	port   int
	server *server.Server

	mu   sync.Mutex
	at   []time.Time   // the deliveries
	term chan string   // the reasons of messages that were ended
	done chan struct{} // a message is acknowledged
}

func (n *natsRun) start() {
	n.t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: n.port, JetStream: true,
		StoreDir: n.dir, NoLog: true, NoSigs: true})
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

// runNATS publishes a message, and settles each of its deliveries by p and the error of work. An
// error of errDied stands for a worker that is killed: it does not settle.
func runNATS(t *testing.T, p *rebound.Policy, work func(n *natsRun, delivery int) error) *natsRun {
	t.Helper()
	n := &natsRun{t: t, dir: t.TempDir(), port: -1,
		term: make(chan string, 10), done: make(chan struct{}, 10)}
	n.start()
	t.Cleanup(n.stop)
	conn, err := nats.Connect(n.server.ClientURL(), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", func(m *nats.Msg) {
		var event struct{ Reason string }
		_ = json.Unmarshal(m.Data, &event)
		n.term <- event.Reason
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := consumer(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) { n.work(p, m, work) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cc.Stop)
	if _, err := js.Publish(t.Context(), "jobs.receipt", nil); err != nil {
		t.Fatal(err)
	}
	return n
}

func consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	return js.CreateConsumer(ctx, "JOBS", jetstream.ConsumerConfig{
		Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait:    time.Second, // longer than the work, or it is done twice
		MaxDeliver: -1,          // the policy counts; beyond MaxDeliver a message stays for ever
	})
}

var errDied = errors.New("killed")

func (n *natsRun) work(p *rebound.Policy, m jetstream.Msg, work func(*natsRun, int) error) {
	meta, err := m.Metadata()
	if err != nil {
		n.t.Error(err)
		return
	}
	n.mu.Lock()
	n.at = append(n.at, time.Now())
	n.mu.Unlock()
	err = work(n, int(meta.NumDelivered))
	if err == errDied {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if e := settle(ctx, p, m, err); e != nil {
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
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

func (n *natsRun) ended(reason rebound.Reason, deliveries int) {
	n.t.Helper()
	select {
	case got := <-n.term:
		if got != string(reason) || len(n.at) != deliveries {
			n.t.Errorf("ended for %q after %d deliveries", got, len(n.at))
		}
	case <-time.After(30 * time.Second):
		n.t.Fatal("no message was ended")
	}
}

func TestNATS(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(10 * time.Millisecond)}
	first := func(err error) func(*natsRun, int) error {
		return func(_ *natsRun, delivery int) error {
			if delivery == 1 {
				return err
			}
			return nil
		}
	}
	t.Run("permanent", func(t *testing.T) {
		runNATS(t, p, first(rebound.Permanent(errReset))).ended(rebound.NotRetryable, 1)
	})
	t.Run("exhausted", func(t *testing.T) {
		runNATS(t, p, func(*natsRun, int) error { return errReset }).ended(rebound.Exhausted, 3)
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
		if d := at[1].Sub(at[0]); len(at) != 2 || d < time.Second {
			t.Errorf("%d deliveries, the second after %v", len(at), d)
		}
	})
	t.Run("server gone in the middle", func(t *testing.T) {
		at := runNATS(t, p, func(n *natsRun, delivery int) error {
			if delivery == 1 {
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
}
