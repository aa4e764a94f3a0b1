package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childOf is the variable with which this binary is started again, as a process with a server.
const childOf = "REBOUND_DAEMON_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childOf) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// sleeper is a server that does nothing.
func sleeper() (*Daemon, error) {
	d, err := New()
	if err != nil {
		return nil, err
	}
	d.Argv = []string{"sleep", "600"}
	d.Ready = func() error { return nil }
	return d, d.Run()
}

// child starts a server on a thread that ends, and prints its process and folder.
func child() {
	started := make(chan *Daemon)
	go func() {
		runtime.LockOSThread() // the end of this goroutine is that of its thread
		d, err := sleeper()
		if err != nil {
			panic(err)
		}
		started <- d
	}()
	d := <-started
	pause(100 * time.Millisecond)
	fmt.Println(d.cmd.Process.Pid, alive(d.cmd.Process.Pid), d.Dir)
	select {}
}

// alive reports whether a process runs. A zombie does not.
func alive(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest != "" && rest[0] != 'Z'
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 1000 {
		if happened() {
			return
		}
		pause(10 * time.Millisecond)
	}
	t.Fatalf("waited for %s", what)
}

// A server and its folder end with the process that started it, even if that is killed. They do not
// end with the thread that started it.
func TestServerEndsWithItsParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe)
	parent.Env = append(os.Environ(), childOf+"=1")
	out, err := parent.StdoutPipe()
	if err == nil {
		err = parent.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Wait() }()
	var pid int
	var running bool
	var dir string
	_, err = fmt.Fscan(bufio.NewReader(out), &pid, &running, &dir)
	_ = parent.Process.Kill()
	if err != nil || !running || filepath.Dir(dir) != filepath.Clean(os.TempDir()) {
		t.Fatalf("the server %d in %s runs: %v, %v", pid, dir, running, err)
	}
	await(t, "the server to end", func() bool { return !alive(pid) })
	await(t, "the folder to go", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

// A server that is killed and started again gets a new watcher, and no watcher is left behind.
func TestKillAndRun(t *testing.T) {
	d := Require(t, sleeper)
	first := d.cmd.Process.Pid
	d.Kill()
	if alive(first) {
		t.Error("the server runs after Kill")
	}
	if err := d.Run(); err != nil {
		t.Fatal(err)
	}
	second := d.cmd.Process.Pid
	if !alive(second) || second == first {
		t.Error("the server does not run again")
	}
	if err := d.Remove(); err != nil || alive(second) {
		t.Errorf("Remove: %v", err)
	}
	if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after Remove: %v", err)
	}
	await(t, "the watchers to end", func() bool { return len(children(os.Getpid())) == 0 })
}
