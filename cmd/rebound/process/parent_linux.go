package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the command should we be killed ourselves. The thread counts
// that starts the command, hence [Adopt].
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// Adopt makes this program the parent of what its commands leave behind, so that it can tell when
// the last of them has ended, even where no init buries the dead.
func Adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }
