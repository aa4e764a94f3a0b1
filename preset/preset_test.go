package preset_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/preset"
)

type numbers struct {
	make     func() *rebound.Policy
	name     string
	attempts int
	waits    []time.Duration // the first eight, without jitter
	most     []time.Duration // only the second delay, with all its jitter
}

var presets = []numbers{
	{preset.Default, "default", 3, seconds(1, 2, 4, 8, 16, 32, 60, 60), seconds(3)},
	{preset.Aggressive, "aggressive", 5, seconds(0.5, 1, 2, 4, 8, 16, 32, 60), seconds(1.5)},
	{preset.RateLimit, "rate-limit", 5, seconds(2, 6, 18, 54, 120, 120, 120, 120), seconds(9)},
	{preset.Conservative, "conservative", 2, seconds(2, 4, 8, 16, 32, 60, 60, 60), seconds(6)},
}

func seconds(ns ...float64) (waits []time.Duration) {
	for _, n := range ns {
		waits = append(waits, time.Duration(n*float64(time.Second)))
	}
	return waits
}

func TestNumbers(t *testing.T) {
	for _, want := range presets {
		p := want.make()
		if p.Name != want.name || p.Attempts != want.attempts {
			t.Errorf("%s: Name, Attempts = %q, %d, want %q, %d",
				want.name, p.Name, p.Attempts, want.name, want.attempts)
		}
		if got := p.Schedule(8); !slices.Equal(got, want.waits) {
			t.Errorf("%s: Schedule(8) = %v, want %v", want.name, got, want.waits)
		}
		almost := 1 - 1e-12
		for u, wait := range map[float64]time.Duration{
			0: want.waits[1], 0.5: (want.waits[1] + want.most[0]) / 2, almost: want.most[0],
		} {
			got := p.Backoff.Delay(2, 0, u)
			if (got - wait).Abs() > time.Microsecond {
				t.Errorf("%s: second wait at u = %v is %v, want %v", want.name, u, got, wait)
			}
		}
		for n := range 100 {
			if got := p.Backoff.Delay(n, 0, almost); got > want.waits[7] {
				t.Errorf("%s: wait %d is %v, above its cap of %v", want.name, n, got, want.waits[7])
			}
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: Validate = %v, want nil", want.name, err)
		}
	}
}

// TestNothingElse clears the fields that presets set: the others must be the zero Policy's.
func TestNothingElse(t *testing.T) {
	for _, want := range presets {
		p := want.make()
		if throttled := p.Throttled != nil; throttled != (want.name == "rate-limit") {
			t.Errorf("%s: Throttled is %v", want.name, p.Throttled)
		} else if throttled && p.Throttled != p.Backoff {
			t.Errorf("%s: Throttled is %v, want %v", want.name, p.Throttled, p.Backoff)
		}
		if retryIf := p.RetryIf != nil; retryIf == (want.name == "rate-limit") {
			t.Errorf("%s: RetryIf set: %v", want.name, retryIf)
		}
		p.Name, p.Attempts, p.Backoff, p.Throttled, p.RetryIf = "", 0, nil, nil, nil
		if zero := (&rebound.Policy{}); !reflect.DeepEqual(p, zero) {
			t.Errorf("%s: other fields are set: %+v", want.name, p)
		}
	}
}

func TestFresh(t *testing.T) {
	for _, want := range presets {
		p := want.make()
		p.Attempts = 99
		if got := want.make().Attempts; got != want.attempts {
			t.Errorf("%s: changing one policy changed the next: Attempts = %d", want.name, got)
		}
	}
}

// TestRetries lists which failures each preset retries: D for Default, A for Aggressive, R for
// RateLimit, C for Conservative.
func TestRetries(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, test := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "DARC"}, // not the caller's, whose context is alive
		{os.ErrDeadlineExceeded, "DARC"},
		{fmt.Errorf("read a page: %w", os.ErrDeadlineExceeded), "DARC"},
		{&net.DNSError{Err: "i/o timeout", Name: "api.example", IsTimeout: true}, "DARC"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, "DARC"},
		{syscall.ETIMEDOUT, "DARC"},

		{refused, "DAR"},
		{reset, "DAR"},
		{fmt.Errorf("ask: %w", reset), "DAR"},
		{syscall.EPIPE, "DAR"},
		{syscall.EHOSTUNREACH, "DAR"},

		{&fs.PathError{Op: "read", Path: "scan.png", Err: syscall.EIO}, "AR"},
		{&fs.PathError{Op: "write", Path: "scan.png", Err: syscall.EBUSY}, "AR"},
		{syscall.EMFILE, "AR"},

		{errors.New("flaky"), "R"},
		{rebound.RetryAfter(errors.New("slow down"), 0), "DARC"}, // a mark outranks them all
		{rebound.Transient(errors.New("odd")), "DARC"},
		{rebound.Transient(fs.ErrNotExist), "DARC"},

		{fs.ErrNotExist, ""},
		{&fs.PathError{Op: "open", Path: "scan.png", Err: syscall.ENOENT}, ""},
		{&fs.PathError{Op: "open", Path: "scan.png", Err: syscall.EACCES}, ""},
		{&net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}, ""},
		{rebound.Permanent(os.ErrDeadlineExceeded), ""},
		{rebound.Permanent(reset), ""},
	} {
		got := ""
		for i, letter := range "DARC" {
			p := presets[i].make()
			f := p.Fault(context.Background(), test.err)
			if p.Decide(rebound.State{Attempt: 1, U: -1}, f).Retry {
				got += string(letter)
			}
		}
		if got != test.want {
			t.Errorf("%v: retried by %q, want %q", test.err, got, test.want)
		}
	}
}

// TestKinds uses an error that all presets retry, with each kind set by hand.
func TestKinds(t *testing.T) {
	for kind, want := range map[fault.Kind]bool{
		fault.None: false, fault.Unknown: true, fault.Transient: true, fault.RateLimited: true,
		fault.Overloaded: true, fault.Permanent: false, fault.Canceled: false,
	} {
		for _, preset := range presets {
			f := fault.Fault{Kind: kind, Err: os.ErrDeadlineExceeded}
			d := preset.make().Decide(rebound.State{Attempt: 1, U: -1}, f)
			if d.Retry != want {
				t.Errorf("%s: a timeout classified as %v: Retry = %v, want %v",
					preset.name, kind, d.Retry, want)
			}
		}
	}
}

// TestAttemptTimeout: an attempt times out, but its error does not show it.
func TestAttemptTimeout(t *testing.T) {
	for _, want := range presets {
		p := want.make()
		p.AttemptTimeout = time.Nanosecond
		p.Attempts = 1
		var last fault.Fault
		p.Observe = func(_ context.Context, e rebound.Event) { last = e.Fault }
		_ = rebound.Run(context.Background(), p, func(ctx context.Context) error {
			<-ctx.Done()
			return io.ErrClosedPipe
		})
		if !want.make().Decide(rebound.State{Attempt: 1, U: -1}, last).Retry {
			t.Errorf("%s: an attempt's timeout, %v, is not retried", want.name, last.Err)
		}
	}
}

// A preset's Classify applies: its transient errors are retried, and its permanent ones are not.
func TestClassifyOfTheUser(t *testing.T) {
	for _, want := range presets {
		for kind, retries := range map[fault.Kind]bool{
			fault.Transient:   want.name != "conservative",
			fault.RateLimited: want.name != "conservative",
			fault.Overloaded:  want.name != "conservative",
			fault.Unknown:     want.name == "rate-limit",
			fault.Permanent:   false,
			fault.None:        false,
		} {
			p := want.make()
			p.Classify = func(error) fault.Fault { return fault.Fault{Kind: kind} }
			for _, err := range []error{errors.New("flaky"), fs.ErrNotExist,
				fmt.Errorf("wrapped: %w", &fs.PathError{Op: "open", Err: fs.ErrNotExist})} {
				f := p.Fault(t.Context(), err)
				d := p.Decide(rebound.State{Attempt: 1, U: -1}, f)
				if d.Retry != retries {
					t.Errorf("%s: %v classified as %v: Retry = %v, want %v",
						want.name, err, kind, d.Retry, retries)
				}
			}
		}
	}
}
