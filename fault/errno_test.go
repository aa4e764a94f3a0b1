//go:build !plan9

package fault_test

import (
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

const refusedErrno = syscall.ECONNREFUSED

func TestErrno(t *testing.T) {
	check(t, []row{
		{"aborted", syscall.ECONNABORTED, transient, maybe, ""},
		{"no address left", dial(sys("bind", syscall.EADDRNOTAVAIL)), transient, notSent, ""},
		{"too many files", syscall.EMFILE, transient, maybe, ""},
		{"again", syscall.EAGAIN, transient, maybe, ""},
		{"not there", syscall.ENOENT, permanent, maybe, ""},
		{"not allowed", syscall.EACCES, permanent, maybe, ""},
		{"not permitted", syscall.EPERM, permanent, maybe, ""},
		{"disk full", syscall.ENOSPC, unknown, maybe, syscall.ENOSPC.Error()},
		{"refused on Windows", syscall.Errno(10061), transient, notSent, ""},
		{"reset on Windows", syscall.Errno(10054), transient, maybe, ""},
	})
	if fault.IsTimeout(syscall.EAGAIN) {
		t.Error("EAGAIN is a timeout, want it not to be")
	}
}
