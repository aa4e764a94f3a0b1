package rebound_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/stats"
)

// FuzzEvents makes calls that end in every way, writes down what the attempts did, and replays the
// events into a model which knows the order they must come in. What the model adds up must be what
// the attempts did, and what a stats.Recorder has counted.
func FuzzEvents(f *testing.F) {
	f.Add(uint64(1), uint8(200))
	f.Add(uint64(7), uint8(50))
	f.Add(uint64(0x5eed), uint8(255))
	f.Fuzz(func(t *testing.T, seed uint64, calls uint8) {
		synctest.Test(t, func(t *testing.T) {
			d := newDrill(t, seed)
			for range calls {
				d.call()
			}
			d.compare()
		})
	})
}

// drill is a run of calls.
type drill struct {
	*testing.T
	r        *rand.Rand
	breaker  *breaker.Breaker
	budget   *budget.Budget
	recorder stats.Recorder
	model    eventModel

	calls, good, attempts, failures int64 // as the attempts themselves have seen it
}

func newDrill(t *testing.T, seed uint64) *drill {
	return &drill{
		T: t, r: rand.New(rand.NewPCG(seed, 1)),
		breaker: &breaker.Breaker{Failures: 3, Cooldown: 5 * time.Second},
		budget:  &budget.Budget{Capacity: 3},
		model: eventModel{
			stops: map[rebound.Reason]int64{}, faults: map[fault.Kind]int64{},
		},
	}
}

// eventModel replays events. While a call is under way, attempt is the last one told of.
type eventModel struct {
	attempt int
	over    bool
	begin   time.Time

	calls, good, attempts, waits int64
	delay, elapsed               time.Duration
	stops                        map[rebound.Reason]int64
	faults                       map[fault.Kind]int64
}

func (d *drill) policy() *rebound.Policy {
	p := &rebound.Policy{
		Name: "drill", Attempts: 1 + d.r.IntN(5), Backoff: backoff.Exponential{Base: time.Second},
		Budget:        budget.Unlimited,
		NonIdempotent: d.r.IntN(8) == 0,
		Observe:       rebound.Observers(d.recorder.Observe, d.hear),
	}
	if d.r.IntN(3) == 0 {
		p.MaxElapsed = 6 * time.Second
	}
	if d.r.IntN(3) == 0 {
		p.AttemptTimeout = 2 * time.Second
	}
	if d.r.IntN(3) == 0 {
		p.Breaker = d.breaker
	}
	if d.r.IntN(3) == 0 {
		p.Budget = d.budget
	}
	if d.r.IntN(16) == 0 {
		p.Gates = []gate.Gate{shut}
	}
	return p
}

// call makes one call, and checks that its last event was the last.
func (d *drill) call() {
	ctx, cancel := context.WithCancel(d.Context())
	defer cancel()
	if d.r.IntN(4) == 0 {
		time.AfterFunc(time.Duration(d.r.IntN(9000))*time.Millisecond, cancel)
	}
	if d.r.IntN(4) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(d.r.IntN(9000))*time.Millisecond)
		defer cancel()
	}
	d.calls++
	d.model.attempt, d.model.over, d.model.begin = 0, false, time.Now()
	made := int64(0)
	err := rebound.Run(ctx, d.policy(), func(ctx context.Context) error {
		made++
		err := d.attempt(ctx)
		if err != nil {
			d.failures++
		}
		return err
	})
	if err == nil {
		d.good++
	}
	d.attempts += made
	var e *rebound.Error
	if errors.As(err, &e); !d.model.over || e != nil && int64(e.Attempts) != made {
		d.Errorf("over: %t, error: %v, attempts made: %d", d.model.over, err, made)
	}
}

func (d *drill) attempt(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(d.r.IntN(3000)) * time.Millisecond):
	}
	switch d.r.IntN(8) {
	case 0:
		return rebound.Permanent(errFlaky)
	case 1:
		return rebound.RetryAfter(errFlaky, time.Duration(d.r.IntN(200))*time.Second)
	case 2, 3:
		return errFlaky
	case 4:
		return rebound.Transient(errFlaky)
	}
	return nil
}

// hear checks one event against those before it, and adds it up.
func (d *drill) hear(_ context.Context, e rebound.Event) {
	m := &d.model
	if m.over || e.Elapsed != time.Since(m.begin) || e.Policy != "drill" {
		d.Errorf("%+v: %v after the call began, which was over: %t", e, time.Since(m.begin), m.over)
	}
	if (e.Kind == rebound.GaveUp) != (e.Reason != "") || (e.Kind == rebound.Succeeded) !=
		(e.Err == nil) || e.Kind != rebound.Retrying && e.Delay != 0 {
		d.Errorf("%+v: these do not go together", e)
	}
	fresh := e.Attempt == m.attempt+1 // it tells of an attempt that nothing was told of before
	switch e.Kind {
	case rebound.Retrying:
		m.waits++
		m.delay += e.Delay
		if !fresh {
			d.Errorf("%+v: attempt %d, want %d", e, e.Attempt, m.attempt+1)
		}
	case rebound.Succeeded:
		m.good++
		if !fresh {
			d.Errorf("%+v: attempt %d, want %d", e, e.Attempt, m.attempt+1)
		}
	case rebound.GaveUp:
		m.stops[e.Reason]++
		if again := e.Attempt == m.attempt; fresh == again ||
			e.Announced != (again && e.Attempt > 0) {
			d.Errorf("%+v: attempt %d, want %d", e, e.Attempt, m.attempt+1)
		}
	}
	if fresh && e.Kind != rebound.Succeeded {
		m.faults[e.Fault.Kind]++
	}
	m.attempt = e.Attempt
	if m.over = e.Kind != rebound.Retrying; m.over {
		m.calls++
		m.attempts += int64(e.Attempt)
		m.elapsed += e.Elapsed
	}
}

// compare has three accounts of the same calls agree: the attempts' own, the model's, and stats'.
func (d *drill) compare() {
	type account struct {
		calls, good, attempts, failures, waits int64
		delay, elapsed                         time.Duration
	}
	m, s := d.model, d.recorder.Snapshot().Total
	replayed := account{m.calls, m.good, m.attempts, sum(m.faults), m.waits, m.delay, m.elapsed}
	counted := account{s.Calls, s.Succeeded, s.Attempts, sum(s.Faults), s.Waits, s.Delay, s.Elapsed}
	lived := replayed
	lived.calls, lived.good, lived.attempts, lived.failures =
		d.calls, d.good, d.attempts, d.failures
	if replayed != counted || replayed != lived {
		d.Errorf("the events add up to\n%+v\nstats has\n%+v\nthe attempts did\n%+v",
			replayed, counted, lived)
	}
	if !maps.Equal(m.stops, s.Stops) || !maps.Equal(m.faults, s.Faults) {
		d.Errorf("the events tell of %v and %v, stats of %v and %v",
			m.stops, m.faults, s.Stops, s.Faults)
	}
}

func sum[K comparable](m map[K]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// The drill is worth something only if its calls end in all the ways there are.
func TestEventsDrillIsVaried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrill(t, 3)
		for range 2000 {
			d.call()
		}
		d.compare()
		for _, reason := range []rebound.Reason{
			rebound.Exhausted, rebound.NotRetryable, rebound.Canceled, rebound.PastDeadline,
			rebound.PastElapsed, rebound.OutOfBudget, rebound.Rejected, rebound.NotIdempotent,
			rebound.WaitTooLong,
		} {
			if d.model.stops[reason] == 0 {
				t.Errorf("no call ended for reason %q: %v", reason, d.model.stops)
			}
		}
	})
}
