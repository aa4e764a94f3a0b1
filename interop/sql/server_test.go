//go:build linux

// Package sql_test runs reboundsql against real drivers and servers. PostgreSQL and MariaDB are
// child processes in temporary folders on free ports; SQLite needs none.
package sql_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is a database server that runs as a child process and may be killed and started again.
type daemon struct {
	dir  string // its data, and its socket, in a folder of their own
	port int
	argv []string
	dsn  string // of a driver that can tell when the server is up, with its name before a space
	user *syscall.Credential

	cmd *exec.Cmd
	out *os.File
}

// folder makes a folder that is owned by the user whom servers run as, since neither of the two
// would run as root.
func folder(t testing.TB, names ...string) (string, *syscall.Credential) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rebound-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() != 0 {
		return dir, nil
	}
	for _, name := range append(names, "nobody") {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatalf("none of the users %q is here, and root must not run the server", names)
	return "", nil
}

// program finds a program by its name or by a pattern of paths, and skips the test if there is
// none. In CI, where scripts/test installs them, that is a failure.
func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1]
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("none of %q is installed", names)
	}
	t.Skipf("none of %q is installed; scripts/test installs it", names)
	return ""
}

// command is a child that dies with this process.
func (d *daemon) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (d *daemon) setUp(t testing.TB, argv ...string) {
	t.Helper()
	if out, err := d.command(argv...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// run starts the server and waits until it answers. It returns an error if that takes too long.
func (d *daemon) run() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		if err := d.spawn(); err != nil {
			return err
		}
		gone := make(chan struct{})
		go func(cmd *exec.Cmd) { cmd.Wait(); close(gone) }(d.cmd)
		if d.answers(gone, deadline) {
			return nil
		}
		d.kill()
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(d.out.Name())
			return fmt.Errorf("%s does not answer:\n%s", d.argv[0], log)
		}
		pause(100 * time.Millisecond) // processes of the one before may still be there
	}
}

func (d *daemon) spawn() (err error) {
	if d.out == nil {
		if d.out, err = os.Create(filepath.Join(d.dir, "log")); err != nil {
			return err
		}
	}
	d.cmd = d.command(d.argv...)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	return d.cmd.Start()
}

func (d *daemon) answers(gone <-chan struct{}, deadline time.Time) bool {
	name, dsn, _ := strings.Cut(d.dsn, " ")
	for time.Now().Before(deadline) {
		if ping(name, dsn) == nil {
			return true
		}
		select {
		case <-gone:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// kill kills the server and all of its processes as a crash would, and waits for their end.
func (d *daemon) kill() {
	pid := d.cmd.Process.Pid
	syscall.Kill(pid, syscall.SIGSTOP) // it must not begin another process meanwhile
	family := append(children(pid), pid)
	for _, p := range family {
		syscall.Kill(p, syscall.SIGKILL)
	}
	for _, p := range family {
		for range 500 {
			if errors.Is(syscall.Kill(p, 0), syscall.ESRCH) {
				break
			}
			pause(2 * time.Millisecond)
		}
	}
}

// children are the processes whose parent is pid.
func children(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			all = append(all, child)
		}
	}
	return all
}

// pause waits for other processes, which no bubble holds.
func pause(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	<-ctx.Done()
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
