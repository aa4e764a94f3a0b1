package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
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

type key struct{}

var errSick = errors.New("sick")

// watch returns a listener that adds each event to log as a line.
func watch(t *testing.T, log *[]string) func(context.Context, rebound.Event) {
	return func(ctx context.Context, e rebound.Event) {
		if ctx.Value(key{}) != "mine" {
			t.Error("the event does not carry the caller's context")
		}
		*log = append(*log, fmt.Sprintf("%s %s %d %v %v %v %v", e.Kind, e.Policy, e.Attempt,
			e.Fault.Kind, e.Delay, e.Elapsed, e.Reason))
	}
}

// Every call's events, in order and exact.
func TestEvents(t *testing.T) {
	fails := func(n int) func(context.Context) error {
		return func(context.Context) error {
			if n--; n >= 0 {
				return errFlaky
			}
			return nil
		}
	}
	open := &breaker.Breaker{}
	open.ForceOpen()
	second := backoff.Constant(time.Second)
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		fn     func(context.Context) error
		want   []string
	}{
		{"first try", &rebound.Policy{}, fails(0), []string{"succeeded p 1 none 0s 0s "}},
		{"second try", &rebound.Policy{}, fails(1), []string{
			"retrying p 1 unknown 1s 0s ", "succeeded p 2 none 0s 1s "}},
		{"exhausted", &rebound.Policy{}, fails(9), []string{
			"retrying p 1 unknown 1s 0s ", "retrying p 2 unknown 1s 1s ",
			"gave_up p 3 unknown 0s 2s exhausted"}},
		{"permanent", &rebound.Policy{},
			func(context.Context) error { return rebound.Permanent(errFlaky) },
			[]string{"gave_up p 1 permanent 0s 0s not_retryable"}},
		{"no budget", &rebound.Policy{Budget: &budget.Budget{Capacity: 1}}, fails(9), []string{
			"retrying p 1 unknown 1s 0s ", "gave_up p 2 unknown 0s 1s out_of_budget"}},
		{"breaker open", &rebound.Policy{Breaker: open}, fails(9), []string{
			"gave_up p 0 unknown 0s 0s rejected"}},
		{"breaker opens", &rebound.Policy{Breaker: &breaker.Breaker{Failures: 1}}, fails(9),
			[]string{"gave_up p 1 unknown 0s 0s rejected"}},
		{"invalid", &rebound.Policy{MaxRetryAfter: -1}, fails(9), []string{
			"gave_up p 1 unknown 0s 0s invalid"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log, second2 []string
				row.policy.Name, row.policy.Backoff = "p", second
				row.policy.Observe = rebound.Observers(watch(t, &log), nil, watch(t, &second2))
				ctx := context.WithValue(t.Context(), key{}, "mine")
				_ = rebound.Run(ctx, row.policy, row.fn)
				if !slices.Equal(log, row.want) {
					t.Errorf("got\n%q\nwant\n%q", log, row.want)
				}
				if !slices.Equal(log, second2) {
					t.Errorf("the second listener got %q, the first %q", second2, log)
				}
			})
		})
	}
}

func TestGaveUpCarriesTheErrorReturned(t *testing.T) {
	var reported error
	err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce,
		Observe: func(_ context.Context, e rebound.Event) { reported = e.Err }},
		failing(new(int), errFlaky))
	if reported != err {
		t.Errorf("reported %v, returned %v", reported, err)
	}
}

// Rule 13: a listener may use the policy and the breaker whose events it gets.
func TestObserveMayCallBack(t *testing.T) {
	b := &breaker.Breaker{Failures: 1}
	var p *rebound.Policy
	nested := 0
	p = &rebound.Policy{Backoff: atOnce, Breaker: b,
		Observe: func(ctx context.Context, e rebound.Event) {
			if e.Kind != rebound.GaveUp {
				return
			}
			b.Reset()
			p.Observe = nil
			_ = rebound.Run(ctx, p, failing(&nested, nil))
		}}
	err := rebound.Run(t.Context(), p, failing(new(int), errFlaky))
	if nested != 1 || !errors.Is(err, errFlaky) {
		t.Errorf("got %d nested calls and %v", nested, err)
	}
}

// A scheduled retry whose delay is cut short returns its token.
func TestCanceledWaitReturnsItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		p := &rebound.Policy{Budget: b, Backoff: backoff.Constant(time.Minute)}
		_ = rebound.Run(ctx, p, failing(new(int), errFlaky))
		if got := b.Level(); got != 10 {
			t.Errorf("got %v tokens left, want all 10", got)
		}
	})
}

// An answer is not a failure: it deposits as much as a success.
func TestAnswerDeposits(t *testing.T) {
	b := &budget.Budget{Refill: 1e-9}
	b.Take()
	before := b.Level()
	answer := func(err error) fault.Fault { return fault.Fault{Kind: fault.None} }
	_ = rebound.Run(t.Context(), &rebound.Policy{Budget: b, Classify: answer},
		failing(new(int), errFlaky))
	if got := b.Level() - before; got < 0.099 || got > 0.101 {
		t.Errorf("the level rose by %v, want 0.1", got)
	}
}

// step is one attempt of a script: how long it takes, and how it ends.
type step struct {
	takes time.Duration
	err   error
}

// play returns a function that goes through a script, attempt by attempt; the last step repeats.
func play(steps ...step) func(context.Context) (int, error) {
	n := 0
	return func(ctx context.Context) (int, error) {
		s := steps[min(n, len(steps)-1)]
		n++
		select {
		case <-time.After(s.takes):
			return n, s.err
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// timeline returns a listener that records each event with its time.
func timeline(lines *[]string) func(context.Context, rebound.Event) {
	begin := time.Now()
	return func(_ context.Context, e rebound.Event) {
		at := time.Since(begin)
		line := fmt.Sprintf("%v %v %d", at, e.Kind, e.Attempt)
		switch e.Kind {
		case rebound.Retrying:
			line += fmt.Sprintf(" %v wait %v", e.Fault.Kind, e.Delay)
		case rebound.GaveUp:
			line += fmt.Sprintf(" %v %v", e.Fault.Kind, e.Reason)
		case rebound.FellBack:
			line += fmt.Sprintf(" %v %v", e.Reason, e.Err)
		}
		if e.Elapsed != at {
			line += fmt.Sprintf(" (elapsed %v)", e.Elapsed)
		}
		*lines = append(*lines, line)
	}
}

var (
	shut     = refusing{errors.New("no slots")}
	given    = &rebound.Error{Attempts: 3, Reason: rebound.Exhausted, Err: errFlaky}
	isAnswer = func(err error) fault.Fault { return fault.Fault{Kind: fault.None, Err: err} }
)

// refusing is a gate that rejects every attempt.
type refusing struct{ err error }

func (r refusing) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, r.err }
func (r refusing) Leave(gate.Pass, gate.Outcome)            {}

// timelines has one call for each kind of end. Delays are one second unless the policy sets others.
// Every line has: time, event, attempt, kind of the failure, and the delay or the reason. If cancel
// is not 0, the call is canceled after that time.
var timelines = []struct {
	name   string
	policy *rebound.Policy
	cancel time.Duration
	limit  time.Duration // deadline, 0 = none
	steps  []step
	want   []string
}{
	{"at once", &rebound.Policy{}, 0, 0, []step{{0, nil}}, []string{"0s succeeded 1"}},
	{"slow and good", &rebound.Policy{}, 0, 0, []step{{time.Minute, nil}}, []string{
		"1m0s succeeded 1"}},
	{"third time", &rebound.Policy{}, 0, 0,
		[]step{{time.Second, errFlaky}, {2 * time.Second, errFlaky}, {3 * time.Second, nil}},
		[]string{"1s retrying 1 unknown wait 1s", "4s retrying 2 unknown wait 1s",
			"8s succeeded 3"}},
	{"the server's wait", &rebound.Policy{Backoff: backoff.Constant(0)}, 0, 0,
		[]step{{0, rebound.RetryAfter(errFlaky, 0)}, {0, nil}},
		[]string{"0s retrying 1 rate_limited wait 0s", "0s succeeded 2"}},
	{"one attempt", &rebound.Policy{Attempts: 1}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown exhausted"}},
	{"timeout, then success", &rebound.Policy{AttemptTimeout: time.Second}, 0, 0,
		[]step{{time.Hour, nil}, {0, nil}},
		[]string{"1s retrying 1 transient wait 1s", "2s succeeded 2"}},
	{"answer", &rebound.Policy{Classify: isAnswer}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 none not_retryable"}},
	{"not idempotent", &rebound.Policy{NonIdempotent: true}, 0, 0, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown not_idempotent"}},
	{"wait too long", &rebound.Policy{}, 0, 0,
		[]step{{0, rebound.RetryAfter(errFlaky, time.Hour)}},
		[]string{"0s gave_up 1 rate_limited wait_too_long"}},
	{"retried below", &rebound.Policy{}, 0, 0, []step{{0, given}}, []string{
		"0s gave_up 1 unknown already_retried"}},
	{"past MaxElapsed", &rebound.Policy{MaxElapsed: 3500 * time.Millisecond}, 0, 0,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "3s gave_up 2 unknown past_elapsed"}},
	{"past the deadline", &rebound.Policy{}, 0, 3500 * time.Millisecond,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "3s gave_up 2 unknown past_deadline"}},
	{"no time for the wait", &rebound.Policy{}, 0, 2500 * time.Millisecond,
		[]step{{900 * time.Millisecond, errFlaky}},
		[]string{"900ms retrying 1 unknown wait 1s", "2.5s gave_up 2 canceled canceled"}},
	{"deadline before the wait", &rebound.Policy{}, 0, time.Second, []step{{0, errFlaky}}, []string{
		"0s gave_up 1 unknown past_deadline"}},
	{"canceled in an attempt", &rebound.Policy{}, time.Second, 0, []step{{time.Hour, nil}}, []string{
		"1s gave_up 1 canceled canceled"}},
	{"canceled in a wait", &rebound.Policy{}, 1500 * time.Millisecond, 0,
		[]step{{time.Second, errFlaky}},
		[]string{"1s retrying 1 unknown wait 1s", "1.5s gave_up 1 unknown canceled"}},
	{"refused", &rebound.Policy{Gates: []gate.Gate{shut}}, 0, 0, []step{{0, nil}}, []string{
		"0s gave_up 0 unknown rejected"}},
}

func TestEventTimelines(t *testing.T) {
	for _, row := range timelines {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				p := row.policy.Clone()
				p.Observe = timeline(&got)
				if p.Backoff == nil {
					p.Backoff, p.Throttled = backoff.Constant(time.Second), backoff.Constant(0)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.cancel > 0 {
					time.AfterFunc(row.cancel, cancel)
				}
				if row.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, row.limit)
					defer cancel()
				}
				_, _ = rebound.Do(ctx, p, play(row.steps...))
				if !slices.Equal(got, row.want) {
					t.Errorf("got\n%q\nwant\n%q", got, row.want)
				}
			})
		})
	}
}

// A call that never begins has an event as well.
func TestEventOfACallThatIsOverAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = rebound.Do(ctx, &rebound.Policy{Observe: timeline(&got)}, play(step{}))
		if want := []string{"0s gave_up 0 unknown canceled"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// All ways to make a call raise the same events.
func TestEventsOfEveryEntryPoint(t *testing.T) {
	entries := map[string]func(context.Context, *rebound.Policy){
		"Do": func(ctx context.Context, p *rebound.Policy) {
			_, _ = rebound.Do(ctx, p, play(step{time.Second, errFlaky}))
		},
		"Run": func(ctx context.Context, p *rebound.Policy) {
			fn := play(step{time.Second, errFlaky})
			_ = rebound.Run(ctx, p, func(ctx context.Context) error {
				_, err := fn(ctx)
				return err
			})
		},
		"DoChecked": func(ctx context.Context, p *rebound.Policy) {
			_, _ = rebound.DoChecked(ctx, p, play(step{time.Second, nil}),
				func(int) error { return errFlaky })
		},
		"Attempts": func(ctx context.Context, p *rebound.Policy) {
			fn, err := play(step{time.Second, errFlaky}), error(nil)
			for ctx := range rebound.Attempts(ctx, p, &err) {
				_, err = fn(ctx)
			}
		},
	}
	want := []string{"1s retrying 1 unknown wait 1s", "3s retrying 2 unknown wait 1s",
		"5s gave_up 3 unknown exhausted"}
	for name, call := range entries {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			call(t.Context(), &rebound.Policy{
				Backoff: backoff.Constant(time.Second), Observe: timeline(&got),
			})
			if !slices.Equal(got, want) {
				t.Errorf("%s: got\n%q\nwant\n%q", name, got, want)
			}
		})
	}
}

// A fallback raises an event of its own, after the call's.
func TestEventsOfAFallback(t *testing.T) {
	before := []string{"1s retrying 1 unknown wait 1s", "3s retrying 2 unknown wait 1s",
		"5s gave_up 3 unknown exhausted"}
	for _, row := range []struct {
		name     string
		policy   *rebound.Policy
		steps    []step
		fallback error
		want     []string
	}{
		{"answers", &rebound.Policy{}, []step{{time.Second, errFlaky}}, nil,
			append(before, "7s fell_back 3 exhausted <nil>")},
		{"fails", &rebound.Policy{}, []step{{time.Second, errFlaky}}, errSick,
			append(before, "7s fell_back 3 exhausted sick")},
		{"rejected call", &rebound.Policy{Gates: []gate.Gate{shut}}, []step{{0, nil}}, nil,
			[]string{"0s gave_up 0 unknown rejected", "2s fell_back 0 rejected <nil>"}},
		{"not needed", &rebound.Policy{}, []step{{0, nil}}, nil, []string{"0s succeeded 1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				p := row.policy.Clone()
				p.Backoff, p.Observe = backoff.Constant(time.Second), timeline(&got)
				_, _ = rebound.DoElse(t.Context(), p, play(row.steps...),
					func(context.Context, error) (int, error) {
						time.Sleep(2 * time.Second)
						return 0, row.fallback
					})
				if !slices.Equal(got, row.want) {
					t.Errorf("got\n%q\nwant\n%q", got, row.want)
				}
			})
		})
	}
}

// A loop that is left early has ended: at break, the error variable decides.
func TestEventsOfABrokenLoop(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, "0s succeeded 1"}, {errFlaky, "0s gave_up 1 unknown not_retryable"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			var err error
			for range rebound.Attempts(t.Context(), &rebound.Policy{Observe: timeline(&got)}, &err) {
				err = row.err
				break
			}
			if !slices.Equal(got, []string{row.want}) {
				t.Errorf("%v: got %q, want %q", row.err, got, row.want)
			}
		})
	}
}

// A panic or a Goexit in the second attempt does not change earlier events, and adds none.
func TestEventsOfACallThatPanics(t *testing.T) {
	for name, end := range map[string]func(){
		"panic": func() { panic("boom") }, "Goexit": runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			n := 0
			p := &rebound.Policy{Backoff: atOnce, Observe: timeline(&got)}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = rebound.Run(t.Context(), p, func(context.Context) error {
					if n++; n == 2 {
						end()
					}
					return errFlaky
				})
			}()
			<-done
			if want := []string{"0s retrying 1 unknown wait 0s"}; !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		})
	}
}

// A listener costs no allocation, neither for a success nor for a retry.
func TestListenersDoNotAllocate(t *testing.T) {
	var reported int
	listen := func(_ context.Context, e rebound.Event) { reported += e.Attempt }
	both := rebound.Observers(listen, listen)
	for _, row := range []struct {
		name  string
		fails int
	}{{"success", 0}, {"two retries", 2}} {
		measure := func(observe func(context.Context, rebound.Event)) float64 {
			p := &rebound.Policy{Backoff: atOnce, Observe: observe}
			return testing.AllocsPerRun(100, func() {
				n := 0
				_, _ = rebound.Do(t.Context(), p, func(context.Context) (int, error) {
					if n++; n <= row.fails {
						return 0, errFlaky
					}
					return n, nil
				})
			})
		}
		want := measure(nil)
		for name, observe := range map[string]func(context.Context, rebound.Event){
			"one": listen, "two": both,
		} {
			if got := measure(observe); got > want {
				t.Errorf("%s, %s: %v allocations, want %v", row.name, name, got, want)
			}
		}
		if row.fails == 0 && want != 0 {
			t.Errorf("an unobserved success: %v allocations, want 0", want)
		}
	}
	if reported == 0 {
		t.Error("no event was reported")
	}
}

// FuzzEvents makes calls that end in every way, records what the attempts did, and replays the
// events into a model that checks their order. The sums of the model must match the attempts and
// the counts of a stats.Recorder.
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

	calls, good, attempts, failures int64 // as the attempts counted it
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

// eventModel replays events. While a call is under way, attempt is the last one reported.
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
		Observe:       rebound.Observers(d.recorder.Observe, d.check),
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

// check compares one event with those before it, and adds it up.
func (d *drill) check(_ context.Context, e rebound.Event) {
	m := &d.model
	if m.over || e.Elapsed != time.Since(m.begin) || e.Policy != "drill" {
		d.Errorf("%+v: %v after the call began, which was over: %t", e, time.Since(m.begin), m.over)
	}
	if (e.Kind == rebound.GaveUp) != (e.Reason != "") || (e.Kind == rebound.Succeeded) !=
		(e.Err == nil) || e.Kind != rebound.Retrying && e.Delay != 0 {
		d.Errorf("%+v: these do not go together", e)
	}
	fresh := e.Attempt == m.attempt+1 // it reports a new attempt
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

// compare checks that three counts of the same calls agree: the attempts' own, the model's, and
// stats'.
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
		d.Errorf("the events report %v and %v, stats %v and %v",
			m.stops, m.faults, s.Stops, s.Faults)
	}
}

func sum[K comparable](m map[K]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// The drill is useful only if its calls end in every possible way.
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
