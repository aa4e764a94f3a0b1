package engines

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	watermillapi "github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// watermill makes a Watermill middleware from a policy. Messages stay unacknowledged during delays.
func watermill(p *rebound.Policy) message.HandlerMiddleware {
	return func(h message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) (out []*message.Message, err error) {
			caller := m.Context()
			defer m.SetContext(caller)
			for ctx := range rebound.Attempts(caller, p, &err) {
				m.SetContext(ctx)
				out, err = h(m)
			}
			return out, err
		}
	}
}

func TestWatermill(t *testing.T) {
	for name, test := range map[string]struct {
		err    error // of all attempts but the third
		calls  int
		reason rebound.Reason
		delay  time.Duration
	}{
		"transient":   {errReset, 3, "", 2 * time.Second},
		"permanent":   {rebound.Permanent(errReset), 1, rebound.NotRetryable, 0},
		"Retry-After": {rebound.RetryAfter(errReset, time.Minute), 3, "", 2 * time.Minute},
		"too long":    {rebound.RetryAfter(errReset, time.Hour), 1, rebound.WaitTooLong, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, start := 0, time.Now()
				m := message.NewMessage("1", nil)
				caller := m.Context()
				p := &rebound.Policy{Backoff: backoff.Constant(time.Second), AttemptTimeout: time.Hour}
				out, err := watermill(p)(func(m *message.Message) ([]*message.Message, error) {
					if calls++; calls < 3 {
						return nil, test.err
					}
					return []*message.Message{m}, m.Context().Err()
				})(m)
				if calls != test.calls || (err == nil) != (test.reason == "") ||
					err != nil && !errors.Is(err, test.reason) || (err == nil) != (len(out) == 1) {
					t.Errorf("%d calls: %d messages, %v", calls, len(out), err)
				}
				if d := time.Since(start); d < test.delay || d > test.delay*5/4 {
					t.Errorf("it took %v", d)
				}
				if m.Context() != caller {
					t.Error("the message keeps the context of an attempt")
				}
			})
		})
	}
	p := &rebound.Policy{Backoff: backoff.Constant(0)}
	_, err := watermill(p)(func(*message.Message) ([]*message.Message, error) {
		return nil, errReset
	})(message.NewMessage("1", nil))
	if !errors.Is(err, rebound.Exhausted) {
		t.Errorf("%v", err)
	}
}

// Two things may follow the last attempt: a Nack, with which the message comes again at once, or
// another topic.
func TestWatermillNack(t *testing.T) {
	for _, poison := range []bool{false, true} {
		logger := watermillapi.NopLogger{}
		broker := gochannel.NewGoChannel(gochannel.Config{}, logger)
		router, err := message.NewRouter(message.RouterConfig{}, logger)
		if err != nil {
			t.Fatal(err)
		}
		if poison {
			queue, err := middleware.PoisonQueue(broker, "dead")
			if err != nil {
				t.Fatal(err)
			}
			router.AddMiddleware(queue)
		}
		p := &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(0), Budget: budget.Unlimited}
		router.AddMiddleware(watermill(p))
		var calls atomic.Int64
		again := make(chan struct{}, 100)
		router.AddNoPublisherHandler("work", "jobs", broker, func(*message.Message) error {
			if calls.Add(1) == 5 { // the third delivery
				again <- struct{}{}
				return nil
			}
			return errReset
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		dead, err := broker.Subscribe(ctx, "dead")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- router.Run(ctx) }()
		<-router.Running()
		if err := broker.Publish("jobs", message.NewMessage("1", []byte("paper"))); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-dead:
			reason := m.Metadata.Get(middleware.ReasonForPoisonedKey)
			if !poison || calls.Load() != 2 || !strings.Contains(reason, "exhausted") {
				t.Errorf("a dead letter after %d calls: %q", calls.Load(), reason)
			}
			m.Ack()
		case <-again:
			if poison {
				t.Error("the message came again")
			}
		case <-ctx.Done():
			t.Errorf("poison %t: nothing after %d calls", poison, calls.Load())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
