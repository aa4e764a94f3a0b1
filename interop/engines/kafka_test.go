package engines

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// consume works on records in the order of their partitions, until ctx ends. A record whose retries
// have ended goes to the topic dead. Only then its offset is committed.
func consume(
	ctx context.Context, cl *kgo.Client, p *rebound.Policy, dead string,
	work func(context.Context, *kgo.Record) error,
) error {
	for {
		fetches := cl.PollRecords(ctx, 100)
		if err := fetches.Err0(); err != nil {
			return err
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			_, err := rebound.Do(ctx, p, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, work(ctx, r)
			})
			if ctx.Err() != nil {
				return context.Cause(ctx) // the record comes again
			}
			if err != nil {
				why := kgo.RecordHeader{Key: "error", Value: []byte(err.Error())}
				letter := &kgo.Record{Topic: dead, Key: r.Key, Value: r.Value,
					Headers: append(r.Headers, why)}
				if err := cl.ProduceSync(ctx, letter).FirstErr(); err != nil {
					return err
				}
			}
			if err := cl.CommitRecords(ctx, r); err != nil {
				return err
			}
		}
	}
}

func TestKafka(t *testing.T) {
	p := &rebound.Policy{Attempts: 3, Backoff: backoff.Constant(time.Millisecond)}
	for name, test := range map[string]struct {
		err   error
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
			c := cluster(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var calls atomic.Int64
			err := consume(ctx, client(t, c), p, "dead", func(_ context.Context, r *kgo.Record) error {
				switch {
				case string(r.Value) == "end":
					cancel()
				case calls.Add(1) < 3:
					return test.err
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) || calls.Load() != int64(test.calls) {
				t.Errorf("%d calls: %v", calls.Load(), err)
			}
			if letters := offset(t, c, "dead"); (letters == 1) != test.dead {
				t.Errorf("%d dead letters", letters)
			}
		})
	}
}

// A worker that stops in the middle of a record leaves it to the next one.
func TestKafkaRedelivers(t *testing.T) {
	c := cluster(t)
	p := &rebound.Policy{Backoff: backoff.Constant(time.Hour)}
	for worker := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		cl := client(t, c)
		err := consume(ctx, cl, p, "dead", func(_ context.Context, r *kgo.Record) error {
			seen = append(seen, string(r.Value))
			if worker == 0 || string(r.Value) == "end" {
				cancel()
				return errReset
			}
			return nil
		})
		cl.Close()
		if !errors.Is(err, context.Canceled) || seen[0] != "receipt" || len(seen) != worker+1 {
			t.Errorf("worker %d: %q, %v", worker, seen, err)
		}
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

// cluster is a broker in memory with two records.
func cluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "jobs", "dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	producer := outside(t, c)
	for _, value := range []string{"receipt", "end"} {
		r := &kgo.Record{Topic: "jobs", Value: []byte(value)}
		if err := producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func client(t *testing.T, c *kfake.Cluster) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("jobs"),
		kgo.ConsumerGroup("g"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// outside is a client that is in no group.
func outside(t *testing.T, c *kfake.Cluster) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// offset is the number of records in a topic.
func offset(t *testing.T, c *kfake.Cluster, topic string) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	topicOf, partition := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	topicOf.Topic, partition.Timestamp = topic, -1
	topicOf.Partitions = append(topicOf.Partitions, partition)
	req.Topics = append(req.Topics, topicOf)
	resp, err := req.RequestWith(t.Context(), outside(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0].Offset
}
