package hedge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// outcome is what the caller observes of a call.
type outcome struct {
	value     int
	err       error
	at        time.Duration
	events    string
	discarded string
}

// reference plays a call event by event, in the order of their times.
func reference(legs []leg, delay time.Duration, most int) (o outcome) {
	const never = time.Duration(1<<63 - 1)
	ends := []time.Duration{legs[0].takes} // of the legs that began; -1 = over
	next, winner, under := delay, 0, 1
	var events, discarded []string
	event := func(at time.Duration, kind EventKind, leg int) {
		events = append(events, fmt.Sprintf("%v %s %d", at, kind, leg))
	}
	o.value, o.err = 1, legs[0].err
	for under > 0 {
		first, at := -1, next // what comes next: the end of leg first, or a hedge
		for i, end := range ends {
			if end >= 0 && end < at {
				first, at = i, end
			}
		}
		o.at = at
		if first < 0 {
			ends = append(ends, at+legs[len(ends)].takes)
			event(at, Started, len(ends))
			under++
			next = at + delay
			if len(ends) > most {
				next = never
			}
			continue
		}
		ends[first], under = -1, under-1
		err := legs[first].err
		isAnswer := err == nil || err == error(answer{})
		if isAnswer && winner == 0 {
			winner, o.value, o.err, next = first+1, first+1, err, never
			if len(ends) > 1 {
				event(at, Won, winner)
			}
			for i := range ends { // the others are canceled, unless they ignore it
				if ends[i] >= 0 && !legs[i].stubborn {
					ends[i], under = -1, under-1
					event(at, Lost, i+1)
				}
			}
			continue
		}
		if len(ends) > 1 {
			event(at, Lost, first+1)
		}
		if err == nil {
			discarded = append(discarded, fmt.Sprint(first+1))
		}
		if f := fault.Of(err); err != nil &&
			(f.Kind == fault.Permanent || f.Kind == fault.RateLimited || f.After > 0) {
			next = never
		}
	}
	slices.Sort(events)
	o.events, o.discarded = strings.Join(events, ", "), strings.Join(discarded, " ")
	return o
}

// Calls of random attempts against the reference.
func TestModel(t *testing.T) {
	errs := []error{nil, nil, errOne, errTwo, answer{}, errNo, limited{fault.RateLimited, 0},
		limited{fault.Unknown, time.Second}}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		legs := make([]leg, 5)
		for i := range legs {
			legs[i] = leg{time.Duration(r.Int64N(int64(500 * ms))), errs[r.IntN(len(errs))], r.IntN(3) == 0}
		}
		most := 1 + r.IntN(4)
		delay := time.Duration(1 + r.Int64N(int64(200*ms)))
		synctest.Test(t, func(t *testing.T) {
			s := &script{legs: legs}
			h := &Hedge{After: delay, Max: most, Observe: s.observe}
			for range 150 {
				h.success(0, false)
			}
			start := time.Now()
			var got outcome
			got.value, got.err = Do(t.Context(), h, s.call, s.discard)
			got.at = time.Since(start)
			got.events = strings.Join(sorted(s.events), ", ")
			got.discarded = strings.Trim(fmt.Sprint(s.discarded), "[]")
			if want := reference(legs, delay, most); got != want {
				t.Fatalf("seed %d: %+v after %v, at most %d:\n%+v, want\n%+v",
					seed, legs, delay, most, got, want)
			}
		})
	}
}
