package process

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the command should we be killed ourselves. The thread counts
// that starts the command, which must not end before.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// Adopt makes this program the parent of what its commands leave behind, so that it learns when
// the last of them has ended, even where no init collects the dead.
func Adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// systemForwards are those of [Forwards] that only this system has: that of a power failure, and
// those of real time that the libraries of C leave to programs.
func systemForwards() []os.Signal {
	sigs := []os.Signal{syscall.SIGPWR}
	for n := syscall.Signal(35); n <= 64; n++ {
		sigs = append(sigs, n)
	}
	return sigs
}

// setDefault takes the handler of a signal away, that of the Go runtime included, which prints
// stacks at SIGQUIT. A struct sigaction of zeros is SIG_DFL on every processor.
func setDefault(sig syscall.Signal) bool {
	var action [16]uint64
	const sizeOfMask = 8 // of signals; MIPS has 16, and refuses this
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&action)), 0, sizeOfMask, 0, 0)
	return errno == 0
}
