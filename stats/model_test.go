package stats_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/stats"
)

// FuzzModel plays calls of every kind to a Recorder, and the facts of the same calls to a model
// without events. Both must have the same sums.
func FuzzModel(f *testing.F) {
	f.Add([]byte("\x00\x13\x27\x33\x41\x5f"))
	f.Add([]byte("three attempts, and then none"))
	f.Add([]byte{255, 254, 253, 6, 5, 4, 3, 2, 1, 0, 128, 64, 32, 16})
	f.Fuzz(func(t *testing.T, data []byte) {
		var rec stats.Recorder
		m := model{}
		for i := 0; i+2 < len(data); i += 3 {
			c := newCall(data[i], data[i+1], data[i+2])
			for _, e := range c.events() {
				rec.Observe(context.Background(), e)
			}
			m.of("all").add(c)
			m.of(c.policy).add(c)
		}
		s := rec.Snapshot()
		checkConsistent(t, s)
		s.Total.Policy = "all"
		for _, got := range append(s.Policies, s.Total) {
			want := m[got.Policy]
			if want == nil {
				want = &facts{}
			}
			want.check(t, got)
			delete(m, got.Policy)
		}
		if len(m) > 0 {
			t.Errorf("policies without a summary: %v", m)
		}
	})
}

// call is what happened in a call.
type call struct {
	policy  string
	made    int // attempts
	kind    fault.Kind
	ending  ending
	elapsed time.Duration
}

type ending uint8

const (
	ok            ending = iota // the last attempt succeeded
	failed                      // the last attempt failed, and the call ended
	canceled                    // the last attempt failed because the context ended
	cutInWait                   // the context ended in the wait after the last attempt
	refusedBehind               // a gate rejected the attempt after the delay
	endings
)

const wait = 10 * time.Millisecond

func newCall(a, b, c byte) call {
	return call{
		policy: fmt.Sprint(a % 3), made: int(b % 14), kind: fault.Unknown + fault.Kind(c%4),
		ending: ending(a/3) % endings, elapsed: time.Duration(c) * time.Second,
	}
}

// failures is how many attempts failed, and waits how many of them were followed by a delay.
func (c call) failures() (failures, waits int) {
	switch {
	case c.made == 0:
		return 0, 0
	case c.ending == ok:
		return c.made - 1, c.made - 1
	case c.ending == cutInWait, c.ending == refusedBehind:
		return c.made, c.made
	}
	return c.made, c.made - 1
}

// events is what the engine would report for the call.
func (c call) events() []rebound.Event {
	var events []rebound.Event
	_, waits := c.failures()
	for i := range waits {
		events = append(events, retrying(c.policy, i+1, c.kind, wait))
	}
	last := gaveUp(c.policy, c.made, c.kind, rebound.Exhausted)
	switch {
	case c.made == 0:
		last.Reason = rebound.Rejected
	case c.ending == ok:
		last = succeeded(c.policy, c.made, 0)
	case c.ending == refusedBehind:
		last.Reason = rebound.Rejected
	case c.ending == cutInWait:
		last.Reason = rebound.Canceled
	case c.ending == canceled:
		last.Reason, last.Fault.Kind = rebound.Canceled, fault.Canceled
	}
	last.Announced = c.ending == refusedBehind && c.made > 0 || c.ending == cutInWait
	last.Elapsed = c.elapsed
	return append(events, last)
}

// model holds the sums that the calls make, by policy.
type model map[string]*facts

func (m model) of(policy string) *facts {
	if m[policy] == nil {
		m[policy] = &facts{rows: map[int]int64{}}
	}
	return m[policy]
}

type facts struct {
	calls, good, refused, attempts, failures, waits int64
	elapsed                                         time.Duration
	rows                                            map[int]int64
}

func (f *facts) add(c call) {
	f.calls++
	f.elapsed += c.elapsed
	failures, waits := c.failures()
	f.attempts += int64(c.made)
	f.failures += int64(failures)
	f.waits += int64(waits)
	f.rows[min(c.made, 10)]++
	if c.made == 0 {
		f.refused++
	}
	if c.ending == ok {
		f.good++
	}
}

func (f *facts) check(t *testing.T, s stats.Summary) {
	t.Helper()
	got := facts{
		calls: s.Calls, good: s.Succeeded, refused: s.Unattempted, attempts: s.Attempts,
		waits: s.Waits, elapsed: s.Elapsed, rows: map[int]int64{},
	}
	for _, n := range s.Faults {
		got.failures += n
	}
	for _, row := range s.Distribution {
		got.rows[row.Attempts] = row.Calls
	}
	want := *f
	if want.rows == nil {
		want.rows = map[int]int64{}
	}
	if !reflect.DeepEqual(got, want) || s.Delay != time.Duration(f.waits)*wait {
		t.Errorf("%q: %+v, delay %v, want %+v, delay %v",
			s.Policy, got, s.Delay, want, time.Duration(f.waits)*wait)
	}
}
