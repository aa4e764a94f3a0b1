package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/rebound-go/rebound/fault"
)

func ExampleOf() {
	for _, err := range []error{
		&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		fmt.Errorf("load user 7: %w", context.DeadlineExceeded),
		&net.DNSError{Err: "no such host", Name: "db.example", IsNotFound: true},
		errors.New("something odd"),
	} {
		f := fault.Of(err)
		fmt.Printf("%v, %v, %q\n", f.Kind, f.Sent, f.Detail)
	}
	// Output:
	// transient, not_sent, "connection refused"
	// transient, maybe_done, "timeout"
	// permanent, not_sent, "no such host"
	// unknown, maybe_done, ""
}

// A custom classifier handles a program's own errors, and leaves the others to fault.Of.
func ExampleClassifier() {
	errBusy := errors.New("printer is busy")
	var classify fault.Classifier = func(err error) fault.Fault {
		if errors.Is(err, errBusy) {
			return fault.Fault{Kind: fault.Overloaded, Sent: fault.NotDone, Detail: "busy", Err: err}
		}
		return fault.Of(err)
	}
	fmt.Println(classify(fmt.Errorf("page 3: %w", errBusy)).Kind)
	fmt.Println(classify(context.Canceled).Kind)
	// Output:
	// overloaded
	// canceled
}

func ExampleFirst() {
	errBusy := errors.New("printer is busy")
	printer := func(err error) fault.Fault {
		if errors.Is(err, errBusy) {
			return fault.Fault{Kind: fault.Overloaded, Err: err}
		}
		return fault.Fault{Kind: fault.Unknown, Err: err}
	}
	classify := fault.First(printer, fault.Of)
	fmt.Println(classify(errBusy).Kind)
	fmt.Println(classify(os.ErrPermission).Kind)
	// Output:
	// overloaded
	// permanent
}

func ExampleIsTimeout() {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	fmt.Println(fault.IsTimeout(fmt.Errorf("load user 7: %w", ctx.Err())))
	fmt.Println(fault.IsTimeout(syscall.ECONNREFUSED))
	// Output:
	// true
	// false
}

func ExampleIsConnection() {
	fmt.Println(fault.IsConnection(syscall.ECONNRESET))
	fmt.Println(fault.IsConnection(&net.DNSError{Err: "no such host", IsNotFound: true}))
	// Output:
	// true
	// false
}

func ExampleStatus() {
	for _, code := range []int{404, 429, 500, 503} {
		f := fault.Status(code)
		fmt.Println(f.Detail, f.Kind, f.Sent)
	}
	// Output:
	// status 404 permanent not_done
	// status 429 rate_limited not_done
	// status 500 transient maybe_done
	// status 503 overloaded maybe_done
}

func ExampleResponse() {
	h := http.Header{}
	h.Set("Retry-After", "7")
	f := fault.Response(http.StatusServiceUnavailable, h, time.Now())
	fmt.Println(f.Kind, f.After)
	// Output:
	// overloaded 7s
}

func ExampleParseRetryAfter() {
	h := http.Header{}
	h.Set("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")
	fmt.Println(fault.ParseRetryAfter(h, time.Date(1994, 11, 6, 8, 49, 0, 0, time.UTC)))
	// Output:
	// 37s true
}
