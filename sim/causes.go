package sim

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// cause is how an attempt ended. It is a number, because every entity holds one.
type cause uint16

const (
	served    cause = iota
	expired         // its own time, or its call's, was up
	refused         // no connection
	full            // status 503: no place in the queue
	shut            // status 503: a layer had no place, or a breaker in it was open
	failed          // status 500
	conflict        // another client wrote the row
	limited         // status 429, by the server's Limit
	throttled       // status 429 by the first window, and the next cause is status 503 by it
)

// windowCauses is the number of causes of each window: its throttled, and the one after it.
const windowCauses = 2

// throttles reports whether a cause is a status 429.
func (c cause) throttles() bool {
	return c == limited || c >= throttled && (c-throttled)%windowCauses == 0
}

// causeErrors returns the causes as errors. They have the texts and types that a client of a real
// server gets, because the Classify and RetryIf of a policy may examine them.
func causeErrors(s *Server) []error {
	errs := []error{
		served:  nil,
		expired: context.DeadlineExceeded,
		// Not every platform has a syscall.ECONNREFUSED.
		refused:  &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		full:     status(503, s.RetryAfter),
		shut:     status(503, 0),
		failed:   status(500, 0),
		conflict: answer{fault.Fault{Kind: fault.Transient, Sent: fault.NotDone, Detail: "conflict"}},
		limited:  status(429, asked),
	}
	// The clients of such a server have only their own backoff.
	if s.Limit.NoRetryAfter {
		errs[limited] = status(429, 0)
	}
	// Each window has its own answers, because their Retry-After delays differ.
	for i := range s.Windows {
		after := s.Windows[i].RetryAfter
		errs = append(errs, status(429, after), status(503, after))
	}
	return errs
}

// asked stands for a delay that differs from answer to answer.
const asked = time.Nanosecond

// status returns an answer with that HTTP status, classified as by an HTTP client. It asks for a
// delay if after is not 0. The delay is not in a header, because headers hold whole seconds.
func status(code int, after time.Duration) error {
	f := fault.Status(code)
	f.After = after
	return answer{f}
}

// answer is an error that a server answers with.
type answer struct{ fault fault.Fault }

func (a answer) Error() string { return a.fault.Detail }

// DescribeFault makes the policy's classifier see the same facts as behind a real client.
func (a answer) DescribeFault() fault.Fault {
	f := a.fault
	f.Err = a
	return f
}
