package stats_test

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/stats"
)

var errTest = errors.New("out of order")

// retrying, succeeded and gaveUp build the events of a policy named p.
func retrying(p string, attempt int, k fault.Kind, delay time.Duration) rebound.Event {
	return rebound.Event{
		Kind: rebound.Retrying, Policy: p, Attempt: attempt, Delay: delay, Err: errTest,
		Fault: fault.Fault{Kind: k, Err: errTest},
	}
}

func succeeded(p string, attempt int, elapsed time.Duration) rebound.Event {
	return rebound.Event{Kind: rebound.Succeeded, Policy: p, Attempt: attempt, Elapsed: elapsed}
}

func gaveUp(p string, attempt int, k fault.Kind, r rebound.Reason) rebound.Event {
	e := rebound.Event{Kind: rebound.GaveUp, Policy: p, Attempt: attempt, Err: errTest, Reason: r}
	if attempt > 0 {
		e.Fault = fault.Fault{Kind: k, Err: errTest}
	}
	return e
}

func fellBack(p string, err error) rebound.Event {
	return rebound.Event{Kind: rebound.FellBack, Policy: p, Attempt: 1, Err: err}
}

// rejected is the end of a call that a breaker rejected.
func rejected(p string, attempt int, by string) rebound.Event {
	e := gaveUp(p, attempt, fault.Transient, rebound.Rejected)
	e.Err = &rebound.Error{Reason: rebound.Rejected, Cause: &breaker.OpenError{Name: by}}
	return e
}

// announced is e, a GaveUp, after a Retrying that reported its failure.
func announced(e rebound.Event) rebound.Event {
	e.Announced = true
	return e
}

func observe(events ...rebound.Event) *stats.Recorder {
	r := new(stats.Recorder)
	for _, e := range events {
		r.Observe(context.Background(), e)
	}
	return r
}
