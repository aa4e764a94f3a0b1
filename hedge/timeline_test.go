package hedge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

const ms = time.Millisecond

// script is what the attempts of a call do, in the order in which they begin.
type script struct {
	legs []leg

	mu        sync.Mutex
	n         int
	alive     int
	discarded []int
	causes    []string // of the attempts that were cut off
	events    []string
}

type leg struct {
	takes    time.Duration
	err      error
	stubborn bool // ignores its context
}

func (s *script) call(ctx context.Context) (int, error) {
	s.mu.Lock()
	s.n++
	n := s.n
	s.alive++
	if Leg(ctx) != n {
		s.events = append(s.events, fmt.Sprintf("leg %d is called %d", n, Leg(ctx)))
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.alive--
		s.mu.Unlock()
	}()
	l := s.legs[n-1]
	cut := ctx.Done()
	if l.stubborn {
		cut = nil
	}
	select {
	case <-time.After(l.takes):
		return n, l.err
	case <-cut:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.causes = append(s.causes, fmt.Sprintf("%d %v", n, context.Cause(ctx)))
		return 0, ctx.Err()
	}
}

func (s *script) discard(v int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discarded = append(s.discarded, v)
}

func (s *script) observe(_ context.Context, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%v %s %d", e.Elapsed, e.Kind, e.Leg)
	if e.Reason != "" {
		text += " " + string(e.Reason)
	}
	s.events = append(s.events, text)
}

var (
	errOne = errors.New("one")
	errTwo = errors.New("two")
	errNo  = rebound.Permanent(errors.New("no"))
)

// answer is an error that is an answer.
type answer struct{}

func (answer) Error() string              { return "no rows" }
func (answer) DescribeFault() fault.Fault { return fault.Fault{Kind: fault.None} }

// limited is the error of a server that has no room.
type limited struct {
	kind  fault.Kind
	after time.Duration
}

func (limited) Error() string { return "limited" }
func (l limited) DescribeFault() fault.Fault {
	return fault.Fault{Kind: l.kind, After: l.after}
}

var timelines = []struct {
	name string
	max  int
	legs []leg

	value   int // the attempt whose value is returned
	err     string
	at      time.Duration
	events  string
	discard []int
	causes  string
}{
	{"answers before the delay", 0, []leg{{99 * ms, nil, false}}, 1, "", 99 * ms, "", nil, ""},
	{"fails before the delay", 0, []leg{{10 * ms, errOne, false}}, 1, "one", 10 * ms, "", nil, ""},
	{"first wins", 0, []leg{{150 * ms, nil, false}, {150 * ms, nil, false}}, 1, "", 150 * ms,
		"100ms started 2, 150ms won 1, 150ms lost 2", nil, "2 " + ErrLost.Error()},
	{"second wins", 0, []leg{{time.Hour, nil, false}, {20 * ms, nil, false}}, 2, "", 120 * ms,
		"100ms started 2, 120ms won 2, 120ms lost 1", nil, "1 " + ErrLost.Error()},
	{"a failure does not win", 0, []leg{{300 * ms, nil, false}, {20 * ms, errTwo, false}}, 1, "",
		300 * ms, "100ms started 2, 120ms lost 2, 300ms won 1", nil, ""},
	{"nor one of the first", 0, []leg{{120 * ms, errOne, false}, {80 * ms, nil, false}}, 2, "",
		180 * ms, "100ms started 2, 120ms lost 1, 180ms won 2", nil, ""},
	{"all fail, first first", 0, []leg{{120 * ms, errOne, false}, {80 * ms, errTwo, false}}, 1, "one",
		180 * ms, "100ms started 2, 120ms lost 1, 180ms lost 2", nil, ""},
	{"all fail, first last", 0, []leg{{220 * ms, errOne, false}, {20 * ms, errTwo, false}}, 1, "one",
		220 * ms, "100ms started 2, 120ms lost 2, 220ms lost 1", nil, ""},
	{"an answer wins", 0, []leg{{time.Hour, nil, false}, {20 * ms, answer{}, false}}, 2, "no rows",
		120 * ms, "100ms started 2, 120ms won 2, 120ms lost 1", nil, "1 " + ErrLost.Error()},
	{"a late value is discarded", 0, []leg{{200 * ms, nil, true}, {50 * ms, nil, false}}, 2, "",
		200 * ms, "100ms started 2, 150ms won 2, 200ms lost 1", []int{1}, ""},
	{"a late answer is not", 0, []leg{{200 * ms, answer{}, true}, {50 * ms, nil, false}}, 2, "",
		200 * ms, "100ms started 2, 150ms won 2, 200ms lost 1", nil, ""},
	{"three hedges", 3, []leg{{time.Hour, nil, false}, {time.Hour, nil, false},
		{time.Hour, nil, false}, {10 * ms, nil, false}}, 4, "", 310 * ms,
		"100ms started 2, 200ms started 3, 300ms started 4, 310ms won 4, " +
			"310ms lost 1, 310ms lost 2, 310ms lost 3", nil,
		"1 " + ErrLost.Error() + ", 2 " + ErrLost.Error() + ", 3 " + ErrLost.Error()},
	{"hedges go on after a failed one", 2, []leg{{time.Hour, nil, false}, {10 * ms, errTwo, false},
		{10 * ms, nil, false}}, 3, "", 210 * ms,
		"100ms started 2, 110ms lost 2, 200ms started 3, 210ms won 3, 210ms lost 1", nil,
		"1 " + ErrLost.Error()},
	{"none when all have failed", 2, []leg{{110 * ms, errOne, false}, {10 * ms, errTwo, false}},
		1, "one", 110 * ms, "100ms started 2, 110ms lost 1, 110ms lost 2", nil, ""},
	{"none after RateLimited", 2, []leg{{time.Second, nil, false},
		{10 * ms, limited{fault.RateLimited, 0}, false}},
		1, "", time.Second, "100ms started 2, 110ms lost 2, 1s won 1", nil, ""},
	{"none after Overloaded", 2, []leg{{time.Second, nil, false},
		{10 * ms, limited{fault.Overloaded, 0}, false}},
		1, "", time.Second, "100ms started 2, 110ms lost 2, 1s won 1", nil, ""},
	{"none after a Retry-After delay", 2, []leg{{time.Second, nil, false},
		{10 * ms, limited{fault.Transient, ms}, false}},
		1, "", time.Second, "100ms started 2, 110ms lost 2, 1s won 1", nil, ""},
	{"none after a permanent failure", 2, []leg{{time.Second, nil, false}, {10 * ms, errNo, false}},
		1, "", time.Second, "100ms started 2, 110ms lost 2, 1s won 1", nil, ""},
}

// Each row is one call with a delay of 100 ms, to the millisecond.
func TestTimelines(t *testing.T) {
	for _, row := range timelines {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{legs: row.legs}
				h := &Hedge{After: 100 * ms, Max: row.max, Observe: s.observe}
				for range 100 { // so that the share allows three hedges
					h.success(0, false)
				}
				start := time.Now()
				v, err := Do(t.Context(), h, s.call, s.discard)
				if s.alive > 0 {
					t.Errorf("%d attempts outlive the call", s.alive)
				}
				text := ""
				if err != nil {
					text = err.Error()
				}
				if v != row.value || text != row.err || time.Since(start) != row.at {
					t.Errorf("%d, %q after %v, want %d, %q after %v",
						v, text, time.Since(start), row.value, row.err, row.at)
				}
				slices.Sort(s.causes) // of the same instant
				events := sorted(s.events)
				if got := strings.Join(events, ", "); got != strings.Join(sorted(strings.Split(
					row.events, ", ")), ", ") {
					t.Errorf("events %q, want %q", got, row.events)
				}
				if got := strings.Join(s.causes, ", "); got != row.causes {
					t.Errorf("cut off: %q, want %q", got, row.causes)
				}
				if !slices.Equal(s.discarded, row.discard) {
					t.Errorf("discarded %v, want %v", s.discarded, row.discard)
				}
			})
		})
	}
}

// sorted orders events by their words, because those of one instant come in any order.
func sorted(events []string) []string {
	events = slices.Clone(events)
	slices.Sort(events)
	return events
}
