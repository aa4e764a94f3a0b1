package limit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundtest"
)

const ms = time.Millisecond

func TestRateIsAGate(t *testing.T) {
	traits := reboundtest.GateTraits{NoAllocs: true}
	reboundtest.TestGate(t, func() gate.Gate { return &limit.Rate{} }, traits)
	reboundtest.TestGate(t, func() gate.Gate { return &limit.Rate{N: 1e6, Burst: 2000} }, traits)
}

// taken is the result of a step of a timeline: whether it returned nil, and after how long.
type taken struct {
	ok    bool
	after time.Duration
}

func take(ctx context.Context, r *limit.Rate, n float64) taken {
	begin := time.Now()
	err := r.Take(ctx, n)
	return taken{err == nil, time.Since(begin)}
}

// rateStep is made when the one before has ended, but not before at.
type rateStep struct {
	at time.Duration // since the start
	do func(*limit.Rate) taken
	taken
}

func n(n float64) func(*limit.Rate) taken {
	return func(r *limit.Rate) taken { return take(context.Background(), r, n) }
}

func debit(n float64) func(*limit.Rate) taken {
	return func(r *limit.Rate) taken { r.Debit(n); return yes(0) }
}

func learn(left float64, reset time.Duration) func(*limit.Rate) taken {
	return func(r *limit.Rate) taken { r.Learn(left, reset); return yes(0) }
}

// later makes a step after d, whatever happens in the meantime.
func later(d time.Duration, do func(*limit.Rate) taken) func(*limit.Rate) taken {
	return func(r *limit.Rate) taken {
		time.AfterFunc(d, func() { do(r) })
		return yes(0)
	}
}

func yes(after time.Duration) taken { return taken{true, after} }

var no = taken{}

var rateTimelines = []struct {
	name  string
	rate  *limit.Rate
	steps []rateStep
}{
	{"gives up when the turn moves", &limit.Rate{N: 10, Wait: time.Second}, []rateStep{
		{0, n(1), yes(0)}, {0, later(50*ms, learn(0, time.Minute)), yes(0)},
		{0, n(1), taken{false, time.Second}},
	}},
	{"smooth", &limit.Rate{N: 10}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1), no}, {99 * ms, n(1), no}, {100 * ms, n(1), yes(0)},
		{150 * ms, n(1), no}, {10 * time.Second, n(1), yes(0)}, {0, n(1), no},
	}},
	{"bursty", &limit.Rate{N: 10, Burst: 3}, []rateStep{
		{0, n(1), yes(0)}, {0, n(2), yes(0)}, {0, n(1), no}, {100 * ms, n(1), yes(0)},
		{300 * ms, n(2), yes(0)}, {0, n(1), no}, {10 * time.Second, n(3), yes(0)}, {0, n(1), no},
	}},
	{"waits", &limit.Rate{N: 10, Wait: 150 * ms}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1), yes(100 * ms)}, {0, n(1), yes(100 * ms)},
		{0, n(2), yes(100 * ms)}, {0, n(1), no}, {0, n(1), no}, {350 * ms, n(1), yes(150 * ms)},
	}},
	{"per", &limit.Rate{N: 60, Per: time.Minute, Burst: 2}, []rateStep{
		{0, n(2), yes(0)}, {999 * ms, n(1), no}, {time.Second, n(1), yes(0)},
	}},
	{"more than the bucket", &limit.Rate{N: 10, Burst: 5, Wait: time.Minute}, []rateStep{
		{0, n(20), yes(0)}, {0, n(1), yes(1600 * ms)}, // a debt of 15, then one more
		{0, n(20), yes(500 * ms)}, // when it is full
	}},
	{"nothing", &limit.Rate{N: 10}, []rateStep{
		{0, n(1), yes(0)}, {0, n(0), yes(0)}, {0, n(-1), no}, {0, n(math.NaN()), no},
	}},
	{"debit", &limit.Rate{N: 10, Burst: 5}, []rateStep{
		{0, n(1), yes(0)}, {0, debit(6), yes(0)}, {299 * ms, n(1), no}, {300 * ms, n(1), yes(0)},
		{0, debit(-3), yes(0)}, {0, n(3), yes(0)}, {0, n(1), no}, {0, debit(-100), yes(0)},
		{0, n(5), yes(0)}, {0, n(1), no}, // no more than a bucket is given back
	}},
	{"endless debit", &limit.Rate{N: 10}, []rateStep{
		{0, debit(math.Inf(1)), yes(0)}, {0, debit(math.Inf(1)), yes(0)},
		{0, debit(math.MaxFloat64), yes(0)}, {time.Hour, n(1), no},
		{0, debit(math.NaN()), yes(0)},
	}},
	{"learns", &limit.Rate{N: 10, Burst: 10}, []rateStep{
		{0, learn(3, time.Hour), yes(0)}, {0, n(3), yes(0)}, {0, n(1), no},
		{0, learn(8, 0), yes(0)}, {0, n(1), no}, // never raises
		{500 * ms, n(5), yes(0)}, {0, n(1), no},
		{0, learn(0, 700*ms), yes(0)}, {699 * ms, n(1), no}, {1200 * ms, n(1), yes(0)},
		{0, learn(-5, -time.Hour), yes(0)}, {0, n(1), no},
	}},
	{"learns alone", &limit.Rate{}, []rateStep{
		{0, n(1e9), yes(0)}, {0, learn(2, time.Second), yes(0)},
		{0, n(1), yes(0)}, {0, learn(50, 2*time.Second), yes(0)}, // an older answer
		{0, n(1), yes(0)}, {0, n(1), no}, {999 * ms, n(1), no}, {time.Second, n(1e9), yes(0)},
		{0, learn(5, time.Second), yes(0)}, {0, debit(4), yes(0)}, {0, n(2), no},
		{0, n(1), yes(0)}, {0, debit(1), yes(0)},
		// A report at the moment of the reset belongs to the next period.
		{2 * time.Second, learn(5, time.Second), yes(0)}, {0, n(6), no}, {0, n(5), yes(0)},
	}},
	{"waits as long as it takes", &limit.Rate{N: 0.001, Wait: math.MaxInt64}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1), yes(1000 * time.Second)},
	}},
	{"learns, waits as long as it takes", &limit.Rate{Wait: math.MaxInt64}, []rateStep{
		{0, learn(0, time.Hour), yes(0)}, {0, n(1), yes(time.Hour)},
	}},
	{"fast", &limit.Rate{N: 1e12, Burst: math.MaxInt, Wait: math.MaxInt64}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1e15), yes(0)}, {0, n(1), yes(0)},
	}},
	{"faster than the clock", &limit.Rate{N: 1e12}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1), no}, {1, n(0.25), yes(0)}, {1, n(0.25), no}, {2, n(1), yes(0)},
	}},
	{"short period", &limit.Rate{N: 1, Per: 1, Wait: math.MaxInt64}, []rateStep{
		{0, n(1), yes(0)}, {0, n(1), yes(1)}, {0, n(5), yes(1)}, {0, n(1), yes(5)},
	}},
	{"learns alone, never raises", &limit.Rate{}, []rateStep{
		{0, learn(0, time.Second), yes(0)}, {0, learn(0, 0), yes(0)}, {0, n(1), no},
		{0, learn(-1, -time.Hour), yes(0)}, {0, learn(0, math.MinInt64), yes(0)},
		{999 * ms, n(1), no}, {time.Second, n(1), yes(0)},
		{0, learn(0, math.MinInt64), yes(0)}, {0, n(1), yes(0)}, // it is over
	}},
	{"learns alone, waits", &limit.Rate{Wait: time.Second}, []rateStep{
		{0, learn(0, time.Second), yes(0)}, {0, n(5), yes(time.Second)},
		{0, learn(0, 1001*ms), yes(0)}, {0, n(5), no},
	}},
}

func TestRateTimeline(t *testing.T) {
	for _, row := range rateTimelines {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := row.rate // a fresh one each time, as tests run with -count, too
				r := &limit.Rate{N: c.N, Per: c.Per, Burst: c.Burst, Wait: c.Wait}
				begin := time.Now()
				for i, s := range row.steps {
					time.Sleep(s.at - time.Since(begin))
					if got := s.do(r); got != s.taken {
						t.Errorf("step %d at %v: got %v, want %v", i, time.Since(begin), got, s.taken)
					}
				}
			})
		})
	}
}

// A turn past the deadline takes nothing. Neither does a wait that the context's end cuts short.
func TestRateGivesTurnsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{N: 1, Wait: time.Hour}
		_ = r.Take(t.Context(), 1)
		ctx, cancel := context.WithTimeout(t.Context(), 900*ms)
		defer cancel()
		if got := take(ctx, r, 1); got != (taken{}) {
			t.Errorf("before a deadline: got %v, want a rejection at once", got)
		}
		// Four wait; the first two are cancelled, and the others move up.
		var wg sync.WaitGroup
		got := make([]taken, 4)
		cause := errors.New("enough")
		cancels := make([]func(error), 4)
		for i := range 4 {
			ctx, stop := context.WithCancelCause(t.Context())
			cancels[i] = stop
			wg.Go(func() { got[i] = take(ctx, r, 1) })
			synctest.Wait()
		}
		time.Sleep(500 * ms)
		cancels[1](cause)
		cancels[0](cause)
		wg.Wait()
		want := []taken{{false, 500 * ms}, {false, 500 * ms}, {true, time.Second},
			{true, 2 * time.Second}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for _, stop := range cancels {
			stop(nil)
		}
		ended, stop := context.WithCancelCause(t.Context())
		stop(cause)
		time.Sleep(time.Hour)
		if err := r.Take(ended, 1); !errors.Is(err, cause) {
			t.Errorf("ended context: got %v, want its cause", err)
		}
		if level := r.Snapshot().Level; level != 1 {
			t.Errorf("level %v after an ended context, want 1", level)
		}
	})
}

// A report and a debit move waiting attempts, too. A wait that becomes too long ends.
func TestRateMovesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{N: 10, Wait: time.Second}
		_ = r.Take(t.Context(), 1)
		var wg sync.WaitGroup
		got := make([]taken, 3)
		for i := range 3 {
			wg.Go(func() { got[i] = take(t.Context(), r, 1) })
			synctest.Wait()
		}
		r.Learn(0, 850*ms)
		if s := r.Snapshot(); s.Waiting != 3 || s.Limit != 10 || s.Level > -10 {
			t.Errorf("got %+v, want 3 waiting, limit 10, a level below -10", s)
		}
		wg.Wait()
		want := []taken{{true, 850 * ms}, {true, 950 * ms}, {false, time.Second}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		wg.Go(func() { got[0] = take(t.Context(), r, 1) })
		synctest.Wait()
		r.Debit(2)
		wg.Wait()
		if want := (taken{true, 250 * ms}); got[0] != want {
			t.Errorf("after a debit: got %v, want %v", got[0], want)
		}
	})
}

func TestRateRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{Name: "ocr", N: 2, Wait: 100 * ms}
		_ = r.Take(t.Context(), 1)
		err := r.Take(t.Context(), 1)
		var e *limit.Error
		if !errors.Is(err, limit.ErrRate) || errors.Is(err, limit.ErrFull) || !errors.As(err, &e) ||
			e.Name != "ocr" || err.Error() != "limit ocr: rate limit reached (2 per 1s)" {
			t.Errorf("got %v", err)
		}
		want := fault.Fault{Kind: fault.RateLimited, Sent: fault.NotSent, After: 500 * ms,
			Detail: "rate limit reached", Err: err}
		if got := fault.Of(err); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if r.Refusal(399*ms) == nil || r.Refusal(400*ms) != nil {
			t.Errorf("Refusal: %v after 399 ms, %v after 400 ms; want an error and nil",
				r.Refusal(399*ms), r.Refusal(400*ms))
		}
		if got := r.Snapshot().Rejected; got != 1 {
			t.Errorf("Rejected is %d, want 1: Refusal counts nothing", got)
		}
		if allocs := testing.AllocsPerRun(100, func() { _ = r.Take(t.Context(), 1) }); allocs != 0 {
			t.Errorf("a rejection allocates %v times", allocs)
		}
		known := &limit.Rate{}
		known.Learn(0, time.Second)
		if f := fault.Of(known.Take(t.Context(), 1)); f.After != time.Second ||
			known.Refusal(999*ms) == nil || known.Refusal(time.Second) != nil {
			t.Errorf("got %+v, want a second", f)
		}
		one := &limit.Rate{}
		one.Learn(1, time.Second)
		if err := one.Refusal(0); err != nil {
			t.Errorf("%v with a token left", err)
		}
		time.Sleep(time.Second)
		if f := fault.Of(err); f.After != 0 || known.Refusal(0) != nil {
			t.Errorf("a second later: got %v, want none", f.After)
		}
	})
}

func TestRateValidate(t *testing.T) {
	for field, r := range map[string]*limit.Rate{
		"N is -1": {N: -1}, "N is NaN": {N: math.NaN()},
		"N is +Inf": {N: math.Inf(1)}, "Per is -1s": {Per: -time.Second},
		"Burst is -1": {Burst: -1}, "limit.Rate ocr: Wait is -1s": {Name: "ocr", Wait: -time.Second},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want an error about %s", err, field)
		}
	}
	good := &limit.Rate{N: 5, Per: time.Minute, Burst: 2, Wait: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// Goroutines that take, give up, learn and debit at once leave no waiter and no booked turn.
func TestRateHammer(t *testing.T) {
	r := &limit.Rate{N: 1e5, Burst: 10, Wait: 200 * time.Microsecond}
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted := 0.0
	begin := time.Now()
	for g := range uint64(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, 2))
			for range 3000 {
				ctx, cancel := context.WithTimeout(t.Context(),
					time.Duration(rnd.IntN(300))*time.Microsecond)
				n := float64(1 + rnd.IntN(3))
				if r.Take(ctx, n) == nil {
					mu.Lock()
					granted += n
					mu.Unlock()
				}
				cancel()
				switch rnd.IntN(50) {
				case 0:
					r.Learn(5, 0)
				case 1:
					r.Debit(1)
				}
			}
		})
	}
	wg.Wait()
	if most := 10 + 1e5*time.Since(begin).Seconds(); granted > most {
		t.Errorf("granted %v, want at most %v", granted, most)
	}
	s := r.Snapshot()
	if s.Waiting != 0 || s.Level < -3000 {
		t.Errorf("got %+v, want no attempt waiting and nothing booked", s)
	}
	if r.Debit(-1e6); r.Snapshot().Level != 10 {
		t.Errorf("level %v, want the bucket's 10", r.Snapshot().Level)
	}
}

// A wait for a reset may become longer. It ends at the latest at the deadline of its call.
func TestRateWaitsForALaterReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{Wait: 2 * time.Second}
		r.Learn(0, 600*ms)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*ms)
		defer cancel()
		go func() {
			time.Sleep(500 * ms)
			r.Learn(0, 700*ms)
		}()
		if got := take(ctx, r, 1); got != yes(1200*ms) {
			t.Errorf("%+v, want a token after 1.2 s", got)
		}
	})
}

// NaN and infinity may come from headers and from divisions by zero. They change nothing, and a
// snapshot can always be written as JSON.
func TestRateOfNoNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, r := range []*limit.Rate{
		{}, {N: 10}, {N: nan}, {N: inf}, {N: math.MaxFloat64, Per: 1}, {N: 5e-324, Per: 1 << 62},
	} {
		name := fmt.Sprintf("%v per %v", r.N, r.Per)
		if r.N == 0 {
			r.Learn(7, time.Hour)
		}
		before := r.Snapshot().Level
		for _, x := range []float64{nan, inf, -inf} {
			r.Learn(x, time.Hour)
			r.Debit(x)
			if err := r.Take(t.Context(), x); err == nil || errors.Is(err, limit.ErrRate) {
				t.Errorf("%s: Take(%v): %v, want an error about n", name, x, err)
			}
		}
		s := r.Snapshot()
		if _, err := json.Marshal(s); err != nil || s.Level != before {
			t.Errorf("%s: %+v, %v, want level %v", name, s, err, before)
		}
		if err := r.Take(t.Context(), 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := json.Marshal(r.Snapshot()); err != nil {
			t.Errorf("%s, after a token: %v", name, err)
		}
	}
}

// Attempts that wait for the reset of an otherwise unknown limit are counted as waiting.
func TestRateShowsWhoWaitsForAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{Wait: time.Minute}
		r.Learn(0, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go func() { _ = r.Take(ctx, 1) }()
		}
		go func() { _ = r.Take(t.Context(), 1) }()
		synctest.Wait()
		if s := r.Snapshot(); s.Waiting != 4 {
			t.Errorf("%+v, want 4 waiting", s)
		}
		cancel()
		synctest.Wait()
		if s := r.Snapshot(); s.Waiting != 1 {
			t.Errorf("%+v, want 1 waiting", s)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Snapshot(); s.Waiting != 0 {
			t.Errorf("%+v, want no attempt waiting", s)
		}
	})
}

// A turn at the deadline itself is useless, so nothing is taken and the attempt does not wait.
func TestRateTurnAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := &limit.Rate{Wait: time.Hour}
		known.Learn(0, time.Second)
		paced := &limit.Rate{N: 1, Wait: time.Hour}
		_ = paced.Take(t.Context(), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		for name, r := range map[string]*limit.Rate{"known": known, "paced": paced} {
			err := r.Take(ctx, 1)
			if !errors.Is(err, limit.ErrRate) || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v, want a rejection at once", name, err, time.Since(start))
			}
		}
		if got := take(t.Context(), paced, 1); got != yes(time.Second) {
			t.Errorf("%+v, want the token after 1 s", got)
		}
	})
}

// A returned token goes to the waiting attempt at once.
func TestRateGivenBackToAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{N: 1, Wait: time.Minute}
		_ = r.Take(t.Context(), 1)
		time.AfterFunc(200*ms, func() { r.Debit(-0.5) })
		if got := take(t.Context(), r, 1); got != yes(500*ms) {
			t.Errorf("%+v, want the token after 500 ms", got)
		}
	})
}

// An attempt whose time is over gets no token returned for those before it.
func TestRateGivesUpBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &limit.Rate{N: 1, Burst: 5, Wait: time.Minute}
		_ = r.Take(t.Context(), 5)
		start := time.Now()
		first := make(chan time.Duration)
		go func() {
			_ = r.Take(t.Context(), 5)
			first <- time.Since(start)
		}()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { r.Debit(2) })
		ctx, cancel := context.WithTimeout(t.Context(), 6500*ms)
		defer cancel()
		if err := r.Take(ctx, 1); !errors.Is(err, limit.ErrRate) {
			t.Errorf("%v after %v, want a rejection: the turn is now after the deadline",
				err, time.Since(start))
		}
		if d := <-first; d != 7*time.Second {
			t.Errorf("the first waited %v, want 7 s", d)
		}
	})
}

// A Rate is busy until a new one would admit no more.
func TestRateBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		given, learned := &limit.Rate{N: 1, Per: time.Second, Burst: 2}, &limit.Rate{}
		want := func(when string, busy bool) {
			t.Helper()
			if given.Busy() != busy || learned.Busy() != busy {
				t.Errorf("%s: busy %v and %v, want %v", when, given.Busy(), learned.Busy(), busy)
			}
		}
		want("unused", false)
		if err := given.Take(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		learned.Learn(5, 2*time.Second)
		want("used", true)
		time.Sleep(2*time.Second - 1)
		want("just before its end", true)
		time.Sleep(time.Nanosecond)
		want("at its end", false)
	})
}
