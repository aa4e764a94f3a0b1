package stats_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/stats"
)

type (
	stops  = map[rebound.Reason]int64
	faults = map[fault.Kind]int64
)

// summaries lists what single calls add to the counts; events are all that a recorder got.
var summaries = []struct {
	name   string
	events []rebound.Event
	want   stats.Summary
}{
	{"nothing", nil, stats.Summary{Stops: stops{}, Faults: faults{}}},
	{"at once", []rebound.Event{succeeded("", 1, time.Second)}, stats.Summary{
		Calls: 1, Succeeded: 1, SuccessPercent: 100, Attempts: 1, PerCall: 1, PerAttempted: 1,
		Elapsed: time.Second, Longest: time.Second,
		Distribution: []stats.Row{{Attempts: 1, Calls: 1, Percent: 100}},
		Stops:        stops{}, Faults: faults{},
	}},
	{"after two retries", []rebound.Event{
		retrying("", 1, fault.Transient, time.Second),
		retrying("", 2, fault.RateLimited, 3*time.Second),
		succeeded("", 3, 5*time.Second),
	}, stats.Summary{
		Calls: 1, Succeeded: 1, SuccessPercent: 100,
		Attempts: 3, Retries: 2, PerCall: 3, PerAttempted: 3, Waits: 2,
		Delay: 4 * time.Second, Elapsed: 5 * time.Second, Longest: 5 * time.Second,
		Distribution: []stats.Row{{Attempts: 3, Calls: 1, Percent: 100}},
		Stops:        stops{}, Faults: faults{fault.Transient: 1, fault.RateLimited: 1},
	}},
	{"exhausted", []rebound.Event{
		retrying("", 1, fault.Unknown, 0), gaveUp("", 2, fault.Unknown, rebound.Exhausted),
	}, stats.Summary{
		Calls: 1, Failed: 1, Attempts: 2, Retries: 1, PerCall: 2, PerAttempted: 2, Waits: 1,
		Distribution: []stats.Row{{Attempts: 2, Calls: 1, Percent: 100}},
		Stops:        stops{rebound.Exhausted: 1}, Faults: faults{fault.Unknown: 2},
	}},
	{"refused", []rebound.Event{gaveUp("", 0, 0, rebound.Rejected)}, stats.Summary{
		Calls: 1, Failed: 1, Unattempted: 1, Stops: stops{rebound.Rejected: 1}, Faults: faults{},
		Distribution: []stats.Row{{Attempts: 0, Calls: 1, Percent: 100}},
		Rejections:   []stats.Rejection{{Kind: "gate", Calls: 1, Unattempted: 1}},
	}},
	{"refused and made", []rebound.Event{
		gaveUp("", 0, 0, rebound.Canceled), succeeded("", 1, 0),
		gaveUp("", 1, fault.Permanent, rebound.NotRetryable), succeeded("", 1, 0),
	}, stats.Summary{
		Calls: 4, Succeeded: 2, Failed: 2, Unattempted: 1, SuccessPercent: 50,
		Attempts: 3, PerCall: 0.75, PerAttempted: 1,
		Distribution: []stats.Row{
			{Attempts: 0, Calls: 1, Percent: 25}, {Attempts: 1, Calls: 3, Percent: 75},
		},
		Stops:  stops{rebound.Canceled: 1, rebound.NotRetryable: 1},
		Faults: faults{fault.Permanent: 1},
	}},
	{"canceled in the wait", []rebound.Event{
		retrying("", 1, fault.Transient, time.Hour),
		announced(gaveUp("", 1, fault.Transient, rebound.Canceled)),
	}, stats.Summary{
		Calls: 1, Failed: 1, Attempts: 1, PerCall: 1, PerAttempted: 1, Waits: 1, Delay: time.Hour,
		Distribution: []stats.Row{{Attempts: 1, Calls: 1, Percent: 100}},
		Stops:        stops{rebound.Canceled: 1}, Faults: faults{fault.Transient: 1},
	}},
	{"canceled in the attempt", []rebound.Event{
		gaveUp("", 1, fault.Canceled, rebound.Canceled),
	}, stats.Summary{
		Calls: 1, Failed: 1, Attempts: 1, PerCall: 1, PerAttempted: 1,
		Distribution: []stats.Row{{Attempts: 1, Calls: 1, Percent: 100}},
		Stops:        stops{rebound.Canceled: 1}, Faults: faults{fault.Canceled: 1},
	}},
	{"refused after the wait", []rebound.Event{
		retrying("", 1, fault.Overloaded, time.Second),
		announced(gaveUp("", 1, fault.Overloaded, rebound.Rejected)),
	}, stats.Summary{
		Calls: 1, Failed: 1, Attempts: 1, PerCall: 1, PerAttempted: 1, Waits: 1, Delay: time.Second,
		Distribution: []stats.Row{{Attempts: 1, Calls: 1, Percent: 100}},
		Stops:        stops{rebound.Rejected: 1}, Faults: faults{fault.Overloaded: 1},
		Rejections: []stats.Rejection{{Kind: "gate", Calls: 1}},
	}},
	{"many attempts", []rebound.Event{
		succeeded("", 9, 0), succeeded("", 10, 0), succeeded("", 11, 0), succeeded("", 1000, 0),
	}, stats.Summary{
		Calls: 4, Succeeded: 4, SuccessPercent: 100,
		Attempts: 1030, Retries: 1026, PerCall: 257.5, PerAttempted: 257.5,
		Distribution: []stats.Row{
			{Attempts: 9, Calls: 1, Percent: 25}, {Attempts: 10, OrMore: true, Calls: 3, Percent: 75},
		},
		Stops: stops{}, Faults: faults{},
	}},
	{"fallbacks", []rebound.Event{
		gaveUp("", 1, fault.Permanent, rebound.NotRetryable), fellBack("", nil),
		gaveUp("", 1, fault.Permanent, rebound.NotRetryable), fellBack("", errTest),
		gaveUp("", 1, fault.Permanent, rebound.NotRetryable), fellBack("", nil),
	}, stats.Summary{
		Calls: 3, Failed: 3, Fallbacks: 3, FallbacksFailed: 1, Attempts: 3,
		PerCall: 1, PerAttempted: 1,
		Distribution: []stats.Row{{Attempts: 1, Calls: 3, Percent: 100}},
		Stops:        stops{rebound.NotRetryable: 3}, Faults: faults{fault.Permanent: 3},
	}},
	{"still under way", []rebound.Event{
		retrying("", 1, fault.Transient, math.MaxInt64), retrying("", 2, fault.Transient, 1),
	}, stats.Summary{
		Waits: 2, Delay: math.MaxInt64, Stops: stops{}, Faults: faults{fault.Transient: 2},
	}},
}

func TestSummary(t *testing.T) {
	for _, test := range summaries {
		t.Run(test.name, func(t *testing.T) {
			s := observe(test.events...).Snapshot()
			if !reflect.DeepEqual(s.Total, test.want) {
				t.Errorf("Total =\n%+v, want\n%+v", s.Total, test.want)
			}
		})
	}
}

// TestRejections: breakers and a gate reject calls, under more names than are kept.
func TestRejections(t *testing.T) {
	r := observe(rejected("", 0, "b"), rejected("", 2, "b"), rejected("", 0, "a"),
		rejected("", 0, ""), gaveUp("", 0, 0, rebound.Rejected),
		gaveUp("", 1, fault.Permanent, rebound.NotRetryable))
	want := []stats.Rejection{
		{Kind: "breaker", Name: "b", Calls: 2, Unattempted: 1},
		{Kind: "breaker", Calls: 1, Unattempted: 1},
		{Kind: "breaker", Name: "a", Calls: 1, Unattempted: 1},
		{Kind: "gate", Calls: 1, Unattempted: 1},
	}
	if got := r.Snapshot().Total.Rejections; !reflect.DeepEqual(got, want) {
		t.Errorf("Rejections = %v, want %v", got, want)
	}
	for i := range 1000 {
		r.Observe(context.Background(), rejected("", 0, fmt.Sprint("host ", i)))
	}
	s := r.Snapshot()
	checkConsistent(t, s)
	named := 0
	for _, row := range s.Total.Rejections {
		if row.Name != "" {
			named++
		}
	}
	// Each kind has a row for the others. In one shard these rows are among the 50.
	if others := len(s.Total.Rejections) - named; named > 50 || named < 48 || others != 2 {
		t.Errorf("%d names and %d others in the rejections, want 48 to 50, and 2", named, others)
	}
	if first := s.Total.Rejections[0]; first.Name != "" || first.Calls < 900 {
		t.Errorf("the others are %+v", first)
	}
}

func TestPerPolicy(t *testing.T) {
	s := observe(
		succeeded("vision", 1, 0), succeeded("ocr", 1, 0), gaveUp("ocr", 0, 0, rebound.Rejected),
		succeeded("", 2, 0),
	).Snapshot()
	var got []string
	for _, p := range append(s.Policies, s.Total) {
		got = append(got, fmt.Sprintf("%q %d/%d", p.Policy, p.Succeeded, p.Calls))
	}
	want := []string{`"" 1/1`, `"ocr" 1/2`, `"vision" 1/1`, `"" 3/4`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policies and total = %v, want %v", got, want)
	}
}

// TestRecent: of 40 calls that fail a second apart, the last 16 are kept, newest first.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r stats.Recorder
		for i := range 40 {
			time.Sleep(time.Second)
			e := gaveUp("ocr", i, fault.Permanent, rebound.NotRetryable)
			e.Fault.Detail = "status 404"
			r.Observe(t.Context(), e)
			r.Observe(t.Context(), succeeded("ocr", 1, 0))
		}
		recent := r.Snapshot().Recent
		if len(recent) != 16 {
			t.Fatalf("%d failures, want 16", len(recent))
		}
		for i, got := range recent {
			want := stats.Failure{
				Time: time.Now().Add(-time.Duration(i) * time.Second), Policy: "ocr",
				Attempts: 39 - i, Reason: rebound.NotRetryable, Kind: fault.Permanent,
				Detail: "status 404", Error: "out of order",
			}
			if got != want {
				t.Errorf("Recent[%d] =\n%+v, want\n%+v", i, got, want)
			}
		}
	})
}

// TestRecentSurvives: a failure's error cannot be printed.
func TestRecentSurvives(t *testing.T) {
	e := gaveUp("ocr", 1, fault.Permanent, rebound.NotRetryable)
	e.Err = (*fs.PathError)(nil)
	if got := observe(e).Snapshot().Recent[0].Error; got != "<nil>" {
		t.Errorf("Error = %q, want <nil>", got)
	}
}

func TestReset(t *testing.T) {
	r := observe(gaveUp("ocr", 1, fault.Permanent, rebound.NotRetryable))
	r.Reset()
	if got, want := r.Snapshot(), new(stats.Recorder).Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("after Reset: %+v, want %+v", got, want)
	}
	r.Observe(context.Background(), succeeded("ocr", 1, 0))
	if got := r.Snapshot().Total.Calls; got != 1 {
		t.Errorf("calls after Reset and a call: %d, want 1", got)
	}
}

func TestJSON(t *testing.T) {
	r := observe(
		retrying("ocr", 1, fault.RateLimited, time.Second),
		gaveUp("ocr", 2, fault.Permanent, rebound.NotRetryable),
	)
	got, err := json.Marshal(r.Snapshot().Total)
	want := `{"policy":"","calls":1,"succeeded":0,"failed":1,"unattempted":0,` +
		`"fallbacks":0,"fallbacks_failed":0,"success_percent":0,"attempts":2,"retries":1,` +
		`"attempts_per_call":2,"attempts_per_attempted_call":2,"waits":1,` +
		`"delay_ns":1000000000,"elapsed_ns":0,"longest_ns":0,` +
		`"distribution":[{"attempts":2,"calls":1,"percent":100}],` +
		`"stops":{"not_retryable":1},"faults":{"permanent":1,"rate_limited":1}}`
	if err != nil || string(got) != want {
		t.Errorf("JSON = %s, %v, want\n%s", got, err, want)
	}
	empty, err := json.Marshal(new(stats.Recorder).Snapshot())
	if err != nil || !strings.HasSuffix(string(empty), `,"policies":[]}`) {
		t.Errorf("JSON of an empty snapshot = %s, %v, want policies to be []", empty, err)
	}
}

// TestConcurrent: many goroutines record while others read. At every moment the numbers are
// consistent, and in the end nothing is missing.
func TestConcurrent(t *testing.T) {
	const workers, calls = 8, 500
	var r stats.Recorder
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			name := fmt.Sprint("policy ", w%3)
			for range calls {
				r.Observe(context.Background(), retrying(name, 1, fault.Transient, time.Millisecond))
				r.Observe(context.Background(), succeeded(name, 2, time.Millisecond))
				r.Observe(context.Background(), gaveUp(name, 1, fault.Permanent, rebound.NotRetryable))
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			checkConsistent(t, r.Snapshot())
		}
	})
	wg.Wait()
	s := r.Snapshot()
	checkConsistent(t, s)
	total := s.Total
	if total.Calls != 2*workers*calls || total.Attempts != 3*workers*calls ||
		total.Delay != workers*calls*time.Millisecond {
		t.Errorf("%d calls, %d attempts, %v waited; want %d, %d, %v", total.Calls, total.Attempts,
			total.Delay, 2*workers*calls, 3*workers*calls, workers*calls*time.Millisecond)
	}
}

// checkConsistent checks what holds for every snapshot.
func checkConsistent(t *testing.T, s stats.Snapshot) {
	t.Helper()
	var sum stats.Summary
	for _, p := range append(s.Policies, s.Total) {
		var rows, stopped, failed int64
		percent := 0.0
		for _, row := range p.Distribution {
			rows += row.Calls
			percent += row.Percent
		}
		for _, n := range p.Stops {
			stopped += n
		}
		for _, n := range p.Faults {
			failed += n
		}
		if p.Calls != p.Succeeded+p.Failed || rows != p.Calls || stopped != p.Failed ||
			p.Retries != p.Attempts-rows+p.Unattempted || failed < p.Retries {
			t.Errorf("the numbers of %q do not fit together: %+v", p.Policy, p)
		}
		if rows > 0 && math.Abs(percent-100) > 1e-9 {
			t.Errorf("%q: percentages add up to %v, want 100", p.Policy, percent)
		}
		var rejected int64
		for _, r := range p.Rejections {
			rejected += r.Calls
		}
		if rejected != p.Stops[rebound.Rejected] {
			t.Errorf("%q: %d calls rejected by gates, %d rejected", p.Policy, rejected,
				p.Stops[rebound.Rejected])
		}
		sum.Calls += p.Calls
		sum.Attempts += p.Attempts
		sum.Waits += p.Waits
	}
	if sum.Calls != 2*s.Total.Calls || sum.Attempts != 2*s.Total.Attempts ||
		sum.Waits != 2*s.Total.Waits {
		t.Errorf("the policies do not add up to the total: %+v", s)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	events := []rebound.Event{
		retrying("ocr", 1, fault.Transient, time.Second), succeeded("ocr", 2, time.Second),
		gaveUp("ocr", 3, fault.Permanent, rebound.NotRetryable),
	}
	var r stats.Recorder
	ctx := context.Background()
	for range 1000 { // until every shard has the policy, and enough failures
		for _, e := range events {
			r.Observe(ctx, e)
		}
	}
	for _, e := range events {
		if got := testing.AllocsPerRun(1000, func() { r.Observe(ctx, e) }); got != 0 {
			t.Errorf("Observe of %v: %v allocations, want 0", e.Kind, got)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	var r stats.Recorder
	e := succeeded("ocr", 1, time.Millisecond)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			r.Observe(context.Background(), e)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r.Observe(context.Background(), e)
			}
		})
	})
}
