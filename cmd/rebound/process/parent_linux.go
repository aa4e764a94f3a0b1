package process

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the kernel kill the command when the thread that started it ends, for example
// because this program was killed. So that thread must not end earlier.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// Adopt makes this program the parent of the processes that its commands leave behind. It then
// collects them when they end, even where no init would.
func Adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// systemForwards returns the signals of [Forwards] that only Linux has: that of a power failure,
// and the real-time signals that C libraries do not use themselves.
func systemForwards() []os.Signal {
	sigs := []os.Signal{syscall.SIGPWR}
	for n := syscall.Signal(35); n <= 64; n++ {
		sigs = append(sigs, n)
	}
	return sigs
}

// setDefault restores the default action of a signal. Package signal would leave the handler of the
// Go runtime, which prints stacks at SIGQUIT. A struct sigaction of zeros is SIG_DFL on every
// processor.
func setDefault(sig syscall.Signal) bool {
	var action [16]uint64
	const sizeOfMask = 8 // of signals; on MIPS it is 16, and this call fails
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&action)), 0, sizeOfMask, 0, 0)
	return errno == 0
}
