package engines

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// consume handles the records of each partition in order, until ctx ends or Kafka fails. If the
// policy gives up on a record, the record goes to the topic dead before its offset is committed. A
// record whose offset is not committed is read again by the next call, here or elsewhere.
func consume(
	ctx context.Context, p *rebound.Policy, dead string,
	work func(context.Context, *kgo.Record) error, opts ...kgo.Opt,
) error {
	// Each call needs a new client, because a used one may be past records that are not committed.
	cl, err := kgo.NewClient(append(opts, kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	// A poll returns no error if the broker is gone or the password is wrong.
	if err := cl.Ping(ctx); err != nil {
		return err
	}
	for {
		fetches := cl.PollRecords(ctx, 1) // a rebalance waits for no more than one
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			err := rebound.Run(ctx, p, func(ctx context.Context) error { return work(ctx, r) })
			if err != nil && ctx.Err() == nil {
				why := kgo.RecordHeader{Key: "error", Value: []byte(err.Error())}
				err = cl.ProduceSync(ctx, &kgo.Record{Topic: dead, Key: r.Key, Value: r.Value,
					Headers: append(r.Headers, why)}).FirstErr()
			}
			if err == nil {
				err = cl.CommitRecords(ctx, r)
			}
			if err != nil {
				return err
			}
		}
		cl.AllowRebalance()
	}
}

// broker is a broker of Kafka in memory. It has the topics jobs and dead.
type broker struct {
	*kfake.Cluster
	t    *testing.T
	opts []kfake.Opt
	port int
}

// startKafka starts a broker with the records 0, 1, 2 … of each partition of jobs.
func startKafka(t *testing.T, partitions int32, records int, opts ...kfake.Opt) *broker {
	t.Helper()
	b := &broker{t: t, opts: append(opts, kfake.NumBrokers(1), kfake.DataDir(t.TempDir()),
		kfake.SeedTopics(partitions, "jobs"), kfake.SeedTopics(1, "dead"))}
	b.start()
	t.Cleanup(func() { b.Close() })
	producer, err := kgo.NewClient(b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for p := range partitions {
		for n := range records {
			r := &kgo.Record{Topic: "jobs", Partition: p, Value: []byte(strconv.Itoa(n)),
				Key: fmt.Appendf(nil, "key %d", n)}
			if err := producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func (b *broker) start() {
	b.t.Helper()
	c, err := kfake.NewCluster(append(b.opts, kfake.Ports(b.port))...)
	if err != nil {
		b.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(c.ListenAddrs()[0])
	if err != nil {
		b.t.Fatal(err)
	}
	b.Cluster = c
	b.port, _ = strconv.Atoi(port)
}

// client returns the options of clients, of which those of the topic's readers are in one group.
func (b *broker) client(opts ...kgo.Opt) []kgo.Opt {
	return append(opts, kgo.SeedBrokers(fmt.Sprint("127.0.0.1:", b.port)))
}

func (b *broker) reader() []kgo.Opt {
	return b.client(kgo.ConsumeTopics("jobs"), kgo.ConsumerGroup("g"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}

// letters returns the records of the topic dead.
func (b *broker) letters() (values []string) {
	b.t.Helper()
	cl, err := kgo.NewClient(b.client(kgo.ConsumeTopics("dead"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	topic, partition := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	topic.Topic, partition.Timestamp = "dead", -1
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(b.t.Context(), cl)
	if err != nil {
		b.t.Fatal(err)
	}
	for int64(len(values)) < resp.Topics[0].Partitions[0].Offset {
		for _, r := range cl.PollFetches(b.t.Context()).Records() {
			header := r.Headers[len(r.Headers)-1]
			values = append(values,
				fmt.Sprintf("%s: %s, %s: %s", r.Key, r.Value, header.Key, header.Value))
		}
	}
	return values
}

// ledger is what workers have done. It checks that every record is done before it is committed, and
// that none is skipped.
type ledger struct {
	mu        sync.Mutex
	done      map[string]int // how often, by partition and offset
	committed map[int32]int64
	all       chan struct{} // closed when the number of records is done
	records   int
}

func newLedger(b *broker, records int) *ledger {
	l := &ledger{done: map[string]int{}, committed: map[int32]int64{}, records: records,
		all: make(chan struct{})}
	l.watch(b)
	return l
}

func key(partition int32, offset int64) string { return fmt.Sprint(partition, "/", offset) }

// watch looks at the commits that reach the broker.
func (l *ledger) watch(b *broker) {
	b.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, p := range req.(*kmsg.OffsetCommitRequest).Topics[0].Partitions {
			if last := key(p.Partition, p.Offset-1); l.done[last] == 0 {
				b.t.Errorf("record %s is committed and not done", last)
			}
			if before := l.committed[p.Partition]; p.Offset != before && p.Offset != before+1 {
				b.t.Errorf("a commit goes from %d to %d", before, p.Offset)
			}
			l.committed[p.Partition] = p.Offset
		}
		return nil, nil, false
	})
}

func (l *ledger) do(r *kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := key(r.Partition, r.Offset)
	if l.done[k]++; l.done[k] == 1 && len(l.done) == l.records {
		close(l.all)
	}
}

// twice returns the number of records that were done more than once.
func (l *ledger) twice() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for times := range maps.Values(l.done) {
		if times > 1 {
			n++
		}
	}
	return n
}

// keeps runs consume again whenever it fails, until ctx ends.
func keeps(
	ctx context.Context, p *rebound.Policy, work func(context.Context, *kgo.Record) error,
	opts []kgo.Opt,
) error {
	outer := &rebound.Policy{Attempts: rebound.Unlimited, Budget: budget.Unlimited,
		Backoff: backoff.Constant(10 * time.Millisecond)}
	return rebound.Run(ctx, outer, func(ctx context.Context) error {
		return consume(ctx, p, "dead", work, opts...)
	})
}

func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it takes too long")
	}
}

func TestKafka(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(time.Millisecond)}
	for name, test := range map[string]struct {
		err   error // of the first two attempts at record 0
		calls int
		dead  bool
	}{
		"transient":   {errReset, 3, false},
		"permanent":   {rebound.Permanent(errReset), 1, true},
		"Retry-After": {rebound.RetryAfter(errReset, 5*time.Millisecond), 3, false},
		"too long":    {rebound.RetryAfter(errReset, time.Hour), 1, true},
		"broker":      {kerr.NotLeaderForPartition, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := startKafka(t, 1, 2)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			err := consume(ctx, p, "dead", func(_ context.Context, r *kgo.Record) error {
				if r.Offset == 1 {
					cancel()
				} else if calls++; calls < 3 {
					return test.err
				}
				return nil
			}, b.reader()...)
			if !errors.Is(err, context.Canceled) || calls != test.calls {
				t.Errorf("%d calls: %v", calls, err)
			}
			letters := strings.Join(b.letters(), "; ")
			if test.dead && (!strings.HasPrefix(letters, "key 0: 0, error: ") ||
				!strings.Contains(letters, errReset.Error())) || !test.dead && letters != "" {
				t.Errorf("dead letters: %q", letters)
			}
		})
	}
}

// If a worker stops in the middle of a record, the next worker gets the record.
func TestKafkaRedelivers(t *testing.T) {
	b := startKafka(t, 1, 2)
	p := &rebound.Policy{Backoff: backoff.Constant(time.Hour)}
	for worker := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		err := consume(ctx, p, "dead", func(_ context.Context, r *kgo.Record) error {
			seen = append(seen, string(r.Value))
			if worker == 0 || r.Offset == 1 {
				cancel()
				return errReset
			}
			return nil
		}, b.reader()...)
		if !errors.Is(err, context.Canceled) || seen[0] != "0" || len(seen) != worker+1 {
			t.Errorf("worker %d: %q, %v", worker, seen, err)
		}
	}
}

// The broker goes down while a worker works, and comes back. No record is lost or skipped.
func TestKafkaBrokerGone(t *testing.T) {
	const records = 20
	b := startKafka(t, 1, records)
	l := newLedger(b, records)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	gone := map[int64]bool{}
	go func() {
		p := &rebound.Policy{Backoff: backoff.Constant(time.Millisecond)}
		ended <- keeps(ctx, p, func(_ context.Context, r *kgo.Record) error {
			if r.Offset%8 == 5 && !gone[r.Offset] {
				gone[r.Offset] = true
				b.Close()
				b.start()
				l.watch(b)
				return errReset
			}
			l.do(r)
			return nil
		}, b.reader())
	}()
	wait(t, l.all)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(gone) != 2 || len(b.letters()) != 0 {
		t.Errorf("%d restarts, dead letters %q", len(gone), b.letters())
	}
}

// A commit or a dead letter that the broker rejects does not let a later record be committed.
func TestKafkaRejects(t *testing.T) {
	for _, kind := range []kmsg.Key{kmsg.OffsetCommit, kmsg.Produce} {
		const records = 5
		b := startKafka(t, 1, records)
		l := newLedger(b, records)
		b.ControlKey(int16(kind), rejectOnce)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []int64
		ended := make(chan error, 1)
		go func() {
			ended <- keeps(ctx, &rebound.Policy{}, func(_ context.Context, r *kgo.Record) error {
				seen = append(seen, r.Offset)
				l.do(r)
				if r.Offset == 1 {
					return rebound.Permanent(errReset)
				}
				return nil
			}, b.reader())
		}()
		wait(t, l.all)
		cancel()
		<-ended
		if want := map[kmsg.Key][]int64{kmsg.OffsetCommit: {0, 0, 1, 2, 3, 4},
			kmsg.Produce: {0, 1, 1, 2, 3, 4}}[kind]; !slices.Equal(seen, want) {
			t.Errorf("%v: records %v, want %v", kind.Name(), seen, want)
		}
		if letters := b.letters(); len(letters) != 1 {
			t.Errorf("%v: dead letters %q", kind.Name(), letters)
		}
	}
}

// rejectOnce answers one request with a code that franz-go does not retry.
func rejectOnce(req kmsg.Request) (kmsg.Response, error, bool) {
	resp := req.ResponseKind()
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		topic, partition := kmsg.NewOffsetCommitResponseTopic(),
			kmsg.NewOffsetCommitResponseTopicPartition()
		topic.Topic, topic.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		partition.ErrorCode = kerr.UnknownServerError.Code
		topic.Partitions = append(topic.Partitions, partition)
		resp.(*kmsg.OffsetCommitResponse).Topics = append(
			resp.(*kmsg.OffsetCommitResponse).Topics, topic)
	case *kmsg.ProduceRequest:
		topic, partition := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		topic.Topic, topic.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		partition.ErrorCode = kerr.UnknownServerError.Code
		topic.Partitions = append(topic.Partitions, partition)
		resp.(*kmsg.ProduceResponse).Topics = append(resp.(*kmsg.ProduceResponse).Topics, topic)
	}
	return resp, nil, true
}

// A second worker joins while the first works on a record. Each record is done once, and each
// partition has one worker at a time.
func TestKafkaRebalance(t *testing.T) {
	const partitions, records = 4, 20
	b := startKafka(t, partitions, records)
	l := newLedger(b, partitions*records)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	half, ended := make(chan struct{}), make(chan error, 2)
	var by [2]atomic.Int64
	worker := func(i int) {
		p := &rebound.Policy{Backoff: backoff.Constant(time.Millisecond), Budget: budget.Unlimited}
		failed := map[string]bool{}
		ended <- keeps(ctx, p, func(_ context.Context, r *kgo.Record) error {
			if k := key(r.Partition, r.Offset); !failed[k] {
				failed[k] = true
				return errReset
			}
			if n := by[i].Add(1); i == 0 && n == partitions*records/4 {
				close(half)
				<-time.After(time.Second)
				if by[1].Load() > 0 {
					t.Error("the second worker has got a partition while the first works")
				}
			}
			<-time.After(2 * time.Millisecond) // so that there is work left for the second
			l.do(r)
			return nil
		}, append(b.reader(), kgo.HeartbeatInterval(20*time.Millisecond)))
	}
	go worker(0)
	wait(t, half)
	go worker(1)
	wait(t, l.all)
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if by[1].Load() == 0 || l.twice() != 0 {
		t.Errorf("the second worker did %d records; %d were done twice", by[1].Load(), l.twice())
	}
}

// A wrong password and a missing broker are errors, at the start and later.
func TestKafkaWrong(t *testing.T) {
	b := startKafka(t, 1, 1)
	user := kgo.SASL(plain.Auth{User: "user", Pass: "password"}.AsMechanism())
	b.Close()
	gone := consume(t.Context(), nil, "dead", nil, b.reader()...)
	var e *net.OpError
	if !errors.As(gone, &e) || fault.Of(gone).Kind != fault.Transient {
		t.Errorf("no broker: %v", gone)
	}
	b.opts = append(b.opts, kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "password"))
	b.start()
	restarted := make(chan struct{})
	err := keeps(t.Context(), nil, func(context.Context, *kgo.Record) error {
		b.Close()
		b.start()
		// kfake ends the connection, and has no code of its own.
		b.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
			b.KeepControl()
			resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			return resp, nil, true
		})
		close(restarted)
		return nil
	}, append(b.reader(), user))
	wait(t, restarted)
	if !errors.Is(err, kerr.SaslAuthenticationFailed) || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("a password that has changed: %v", err)
	}
	if err := keeps(t.Context(), nil, nil, append(b.reader(), user)); !errors.Is(err,
		kerr.SaslAuthenticationFailed) || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("a wrong password: %v", err)
	}
}

// The real errors of brokers, which fault reads by their fields.
func TestKafkaErrors(t *testing.T) {
	for err, kind := range map[*kerr.Error]fault.Kind{
		kerr.NotLeaderForPartition: fault.Transient, kerr.RequestTimedOut: fault.Transient,
		kerr.TopicAuthorizationFailed: fault.Permanent, kerr.MessageTooLarge: fault.Permanent,
		kerr.ThrottlingQuotaExceeded: fault.RateLimited, kerr.UnknownServerError: fault.Unknown,
	} {
		if f := fault.Of(err); f.Kind != kind || f.Detail != "kafka "+err.Message {
			t.Errorf("%v is %v, %q", err, f.Kind, f.Detail)
		}
	}
}
