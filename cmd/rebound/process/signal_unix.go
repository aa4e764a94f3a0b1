//go:build unix

package process

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sigPipe ends a program that writes to a pipe without a reader.
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

// Stops returns the signals that ask a program to end, without those that this program ignores from
// its start, as under nohup.
func Stops() (sigs []os.Signal) {
	for _, sig := range []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGABRT, // from a watchdog, such as systemd's; Go would print its stacks
	} {
		if !signal.Ignored(sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}

// Forwards returns the signals whose meaning the command defines, and SIGTSTP.
func Forwards() []os.Signal {
	return append([]os.Signal{
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP,
		syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO,
	}, systemForwards()...)
}

// FailWrites makes a write to a closed pipe return an error. Otherwise SIGPIPE would end this
// program and leave the command behind.
func FailWrites() { signal.Notify(make(chan os.Signal, 1), sigPipe) }

// Die ends this program by a signal that it has caught. A shell that runs it in a loop then ends
// the loop, too. Die returns if the signal cannot end this program, for example because it is
// process 1.
func Die(sig syscall.Signal) {
	if os.Getpid() == 1 {
		return
	}
	signal.Reset(sig)
	if !setDefault(sig) && (sig == syscall.SIGQUIT || sig == syscall.SIGABRT) {
		return // Go would print its stacks
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // no core dump
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Second) // another thread may get the signal, a little later
}

// Gone reports whether f is a pipe or a socket whose other end is closed.
func Gone(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
