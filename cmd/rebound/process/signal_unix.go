//go:build unix

package process

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sigPipe ends a program that writes where nothing reads.
const sigPipe = syscall.SIGPIPE

// Name is a signal's name, such as SIGTERM.
func Name(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return sig.String()
}

// ByName returns the signal of that name, with or without SIG; 0 for an unknown one.
func ByName(name string) syscall.Signal {
	if sig := unix.SignalNum(name); sig != 0 {
		return sig
	}
	return unix.SignalNum("SIG" + name)
}

// Stops are the signals that ask a program to end, but for those that our own caller has us ignore,
// as nohup does.
func Stops() (sigs []os.Signal) {
	for _, sig := range []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGABRT, // of a watchdog, such as systemd's; Go would print its stacks
	} {
		if !signal.Ignored(sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}

// Forwards are the signals whose meaning is the command's own, and SIGTSTP.
func Forwards() []os.Signal {
	return append([]os.Signal{
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP,
		syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO,
	}, systemForwards()...)
}

// FailWrites has a write to a closed pipe fail. It would end the program and leave the command
// behind.
func FailWrites() { signal.Notify(make(chan os.Signal, 1), sigPipe) }

// Die ends this program by a signal that it has caught, so that its caller, such as a shell in a
// loop, sees which one it was. It returns if the signal does not end it: that of a process 1 does
// not, and a system may be without the means.
func Die(sig syscall.Signal) {
	if os.Getpid() == 1 {
		return
	}
	signal.Reset(sig)
	if !setDefault(sig) && (sig == syscall.SIGQUIT || sig == syscall.SIGABRT) {
		return // Go would print its stacks
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // the memory is of no interest
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Second) // another thread may be the one that gets it
}

// Gone reports whether the other end of a pipe or a socket that we write to is closed.
func Gone(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
