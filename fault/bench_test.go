package fault_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

var benchErrors = []struct {
	name string
	err  error
}{
	{"plain", errors.New("x")},
	{"sentence", errors.New("the service returned an unknown sentence")},
	{"wrapped", fmt.Errorf("get user 7: %w", errors.New("x"))},
	{"marked", mark.New(errors.New("x"), fault.Permanent, 0)},
	{"refused", &url.Error{Op: "Get", URL: "http://127.0.0.1", Err: &net.OpError{Op: "dial",
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}},
	{"joined", errors.Join(errors.New("x"), errors.New("y"))},
}

var sink fault.Fault

func BenchmarkOf(b *testing.B) {
	for _, e := range benchErrors {
		b.Run(e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = fault.Of(e.err)
			}
		})
	}
}
