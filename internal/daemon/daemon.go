// Package daemon runs servers as child processes, for tests and examples. A server has a temporary
// folder and a free port. It ends with this process, even if this process is killed. A test starts
// one with [Require]:
//
//	server := daemon.Require(t, daemon.Postgres)
//	pool, err := pgxpool.New(t.Context(), server.URL())
//
// [Daemon.Kill] is a crash, and [Daemon.Run] after it a restart. To support another server, write a
// function like [Postgres]: call [New], set Argv and Ready, make the server's files with
// [Daemon.SetUp], and call Run. A [Proxy] takes the place of a bad network.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Daemon is a server that may be killed and started again. It must be used by one goroutine at a
// time.
type Daemon struct {
	// Dir is a folder of the server's own, for its data and its socket.
	Dir string

	Port int
	// Argv is the command line. It is set before Run.
	Argv []string

	// Ready returns nil once the server answers. An open port is not enough: many servers accept
	// connections before they can serve them.
	Ready func() error

	// owner is the user of the folder and the processes; nil = the user of this process.
	owner *user.User
	cmd   *exec.Cmd
	out   *os.File
}

// New makes the folder of a server and finds a free port. If this process is root, the server runs
// as the first of the users that exists, because such servers refuse to run as root.
func New(users ...string) (*Daemon, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	d := &Daemon{Port: port}
	if d.Dir, err = os.MkdirTemp("", "rebound-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		err = d.chown(append(users, "nobody"))
	}
	if err != nil {
		_ = os.RemoveAll(d.Dir)
	}
	return d, err
}

// chown gives the folder to the first of the users that exists. Only root can do so, and only root
// has to.
func (d *Daemon) chown(users []string) error {
	for _, name := range users {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		d.owner = u
		// User looks ids up as texts, which are numbers on Unix.
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return os.Chown(d.Dir, uid, gid)
	}
	return fmt.Errorf("none of the users %q exists, and root must not run the server", users)
}

// Program finds a program by its name or by a pattern of paths. Debian keeps the programs of
// PostgreSQL outside PATH, in a folder for each version; Program takes the last one, which is the
// newest. If there is none, the error wraps exec.ErrNotFound.
func Program(names ...string) (string, error) {
	// Patterns and names may be mixed: a path is tried before a search in PATH.
	for _, name := range names {
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1], nil
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %q is installed: %w", names, exec.ErrNotFound)
}

// command is a child process that runs as the server's user. Its messages are in English, whatever
// the system's language, so that tests can look for them.
func (d *Daemon) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = d.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = attributes(d.owner)
	return cmd
}

// SetUp runs a program to its end as the server's user, for example the one that makes the server's
// files. The error includes the program's output.
func (d *Daemon) SetUp(argv ...string) error {
	out, err := d.command(argv...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	return nil
}

// Run starts the server and waits until it answers. A process that ends at once is started again: a
// server that was killed leaves a lock, which its successor may still find. After 30 s, Run returns
// an error with the server's log.
func (d *Daemon) Run() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		gone, err := d.spawn()
		if err != nil {
			return err
		}
		if d.answers(gone, deadline) {
			return nil
		}
		d.Kill()
		if time.Now().After(deadline) {
			// Only the log has the reason why a server does not start.
			log, _ := os.ReadFile(d.out.Name())
			return fmt.Errorf("%s does not answer:\n%s", d.Argv[0], log)
		}
		pause(100 * time.Millisecond) // processes of the previous server may still run
	}
}

// spawn starts a process whose output goes to the file log in the folder. The file is opened only
// once, so that it keeps the output of a process that was killed. The channel is closed when the
// process has ended.
func (d *Daemon) spawn() (<-chan struct{}, error) {
	if d.out == nil {
		log, err := os.Create(filepath.Join(d.Dir, "log"))
		if err != nil {
			return nil, err
		}
		d.out = log
	}
	cmd := d.command(d.Argv...)
	cmd.Stdout, cmd.Stderr = d.out, d.out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d.cmd = cmd
	stop, err := d.watch(cmd.Process.Pid)
	gone := make(chan struct{})
	go func() {
		// Wait also releases the process's entry, which kill waits for.
		_ = cmd.Wait()
		stop()
		close(gone)
	}()
	if err != nil {
		d.Kill()
	}
	return gone, err
}

// watch starts a shell that kills the process and removes the folder when this process ends. That
// closes the pipe which the shell reads. The shell ignores the signals with which a terminal would
// end it as well. It waits before it removes the folder, since the server's children may write
// there until they notice that the server is gone.
//
// On Linux there is Pdeathsig, but it kills a child when the thread that started the child ends,
// which may be earlier. Without a shell nothing is watched.
func (d *Daemon) watch(pid int) (stop func(), err error) {
	const script = `trap "" HUP INT TERM; read -r _; kill -9 "$1"; sleep 1; rm -rf "$2"`
	shell := exec.Command("sh", "-c", script, "sh", strconv.Itoa(pid), d.Dir)
	shell.Dir = os.TempDir()
	_, err = shell.StdinPipe()
	if err == nil {
		err = shell.Start()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return func() {}, nil
	case err != nil:
		return func() {}, err
	}
	return func() {
		_ = shell.Process.Kill()
		_ = shell.Wait() // closes the pipe
	}, nil
}

// answers waits until the server is ready. It returns false if the process ends first, because
// another process may then use its port.
func (d *Daemon) answers(gone <-chan struct{}, deadline time.Time) bool {
	for time.Now().Before(deadline) {
		if d.Ready() == nil {
			return true
		}
		// 20 ms is short compared with the start of any server.
		select {
		case <-gone:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// Kill kills the server and all its processes, as a crash would, and waits for their end. The
// folder stays, so Run can start the server again with its data.
func (d *Daemon) Kill() {
	if d.cmd != nil {
		kill(d.cmd.Process)
	}
}

// Signal sends a signal to the server's process. After SIGSTOP, for example, its connections stay
// open but nothing is answered.
func (d *Daemon) Signal(s os.Signal) error { return d.cmd.Process.Signal(s) }

// Remove kills the server and removes its folder. The Daemon cannot be used after that.
func (d *Daemon) Remove() error {
	d.Kill()
	if d.out != nil {
		_ = d.out.Close()
	}
	return os.RemoveAll(d.Dir)
}

// pause waits for other processes. It must not run in a synctest bubble, whose clock does not wait
// for them.
func pause(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	<-ctx.Done()
}

// Require returns a server that start has started, and removes it at the end of the test. If the
// server is not installed, the test is skipped, or fails in CI, where scripts/test installs it.
func Require(t testing.TB, start func() (*Daemon, error)) *Daemon {
	t.Helper()
	d, err := start()
	// A test that is skipped in CI would go unnoticed.
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err, "; scripts/test installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Remove() })
	return d
}
