// Package proxy_test tests `rebound proxy` with clients in Go, Node and Python. The proxy is a
// separate process in front of a server with faults.
package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is a folder for what is built once: the command, and the SDKs for Node.
var built string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "proxy"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	return m.Run()
}

// command builds the command, and returns its path.
var command = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "rebound")
	build := exec.Command("go", "-C", "../../cmd/rebound", "build", "-o", path, ".")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

// policies have short delays. A request is sent three times.
const policies = `{"policies": {"quick": {"attempts": 3,
	"backoff": {"kind": "constant", "base": "1ms"},
	"throttled": {"kind": "constant", "base": "1ms"}}}}`

func writePolicies(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(path, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a proxy that runs.
type process struct {
	url string
	cmd *exec.Cmd
	mu  sync.Mutex
	log bytes.Buffer // what it has printed
}

// start runs a proxy for an API, on a port of its own.
func start(t *testing.T, api string, flags ...string) *process {
	t.Helper()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	file := writePolicies(t)
	p := &process{cmd: exec.Command(path, append([]string{"proxy", "--listen", "127.0.0.1:0", "--to",
		api, "--policy", file}, flags...)...)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		p.read(bufio.NewScanner(stderr), lines)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the proxy ended with %v", err)
		}
		if text := p.printed(); strings.Contains(text, "sk-secret") || t.Failed() {
			t.Errorf("the proxy printed\n%s", text)
		}
	})
	select {
	case line := <-lines: // rebound: http://127.0.0.1:1234 → http://127.0.0.1:5678
		p.url = strings.Fields(line)[1]
	case <-time.After(time.Minute):
		t.Fatal("the proxy does not begin")
	}
	return p
}

// read keeps what the proxy prints, and sends the first line.
func (p *process) read(lines *bufio.Scanner, first chan<- string) {
	for lines.Scan() {
		select {
		case first <- lines.Text():
		default:
		}
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
	}
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// need skips the test if a program is missing, except in continuous integration.
func need(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		const text = "no %s: %v %s: scripts/test installs it"
		if os.Getenv("CI") == "true" {
			t.Fatalf(text, program, err, out)
		}
		t.Skipf(text, program, err, out)
	}
}

// python is Debian's, which has Debian's packages.
const python = "/usr/bin/python3"

// node returns a folder with the SDKs of OpenAI and Anthropic for Node.
func node(t *testing.T) string {
	t.Helper()
	need(t, "node", "--version")
	need(t, "npm", "--version")
	dir, err := installed()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip("the SDKs cannot be installed: ", err)
	}
	return dir
}

var installed = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(built, "node")
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--prefix", dir, "--ignore-scripts",
		"--no-audit", "--no-fund")
	out, err := install.CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return dir, nil
})
