//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// batchCommand is the command on 60 rows of a server.
func batchCommand(t *testing.T, dir, base string, flags ...string) *exec.Cmd {
	t.Helper()
	var rows strings.Builder
	for i := range 60 {
		fmt.Fprintf(&rows, "{\"custom_id\":\"r%d\",\"url\":\"/v1/chat/completions\",\"body\":{}}\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), filepath.Join(bin(t), "rebound"), append([]string{
		"batch", "in.jsonl", "-o", "out.jsonl", "--base", base, "-j", "4", "--report", "report.json",
	}, flags...)...)
	c.Dir, c.Env = dir, append(environment(t), "KEY=sk-secret/1234")
	return c
}

// A signal ends a batch between rows, a stopped process continues, and no text contains a key,
// whether from the environment or the command line.
func TestBatchSignals(t *testing.T) {
	var calls, answers atomic.Int64
	act := make(chan int64, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := calls.Add(1)
		defer answers.Add(1)
		act <- n
		<-time.After(20 * time.Millisecond)
		if n == 3 {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error":{"message":"wrong: %s"}}`, req.Header.Get("Authorization"))
			return
		}
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	dir := t.TempDir()
	var stderr strings.Builder
	run := func(at int64, signals ...os.Signal) (code int) {
		c := batchCommand(t, dir, server.URL, "-H", "Authorization: Bearer $KEY",
			"-H", "X-Api-Key: typed-5678")
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for n := range act {
			if n == at {
				break
			}
		}
		for _, s := range signals {
			_ = c.Process.Signal(s)
			if s == syscall.SIGSTOP {
				stopped(t, c.Process.Pid)
				for answers.Load() < calls.Load() { // the answers come to a stopped process
					<-time.After(time.Millisecond)
				}
			}
		}
		_ = c.Wait()
		return c.ProcessState.ExitCode()
	}
	if code := run(10, syscall.SIGINT); code != 130 {
		t.Errorf("exit code %d after SIGINT, want 130: %s", code, &stderr)
	}
	at := calls.Load() + 10
	if code := run(at, syscall.SIGTERM); code != 143 {
		t.Errorf("exit code %d after SIGTERM, want 143: %s", code, &stderr)
	}
	at = calls.Load() + 5
	if code := run(at, syscall.SIGSTOP, syscall.SIGCONT); code != 1 {
		t.Errorf("exit code %d after a pause, want 1: %s", code, &stderr)
	}
	if calls.Load() != 60 {
		t.Errorf("%d calls for 60 rows", calls.Load())
	}
	checkReport(t, filepath.Join(dir, "report.json"))
	checkKeys(t, dir, stderr.String())
}

// stopped waits until a child process is stopped.
func stopped(t *testing.T, pid int) {
	t.Helper()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("got status %v, %v, want that the process is stopped", status, err)
	}
}

// checkKeys looks for keys in everything that was written.
func checkKeys(t *testing.T, dir, stderr string) {
	t.Helper()
	written := map[string]string{"stderr": stderr}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		data, _ := os.ReadFile(name)
		written[name] = string(data)
	}
	for name, text := range written {
		if strings.Contains(text, "secret/1234") || strings.Contains(text, "typed-5678") {
			t.Errorf("%q has a key: %s", name, text)
		}
	}
}

// checkReport checks what others rely on in the report.
func checkReport(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"rows": 60, "done": 59, "failed": 1, "pending": 0, "in_doubt": 0, "repeated": 0, "cost_usd": 0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, is := got["attempts"].(float64); !is {
		t.Errorf("no attempts in %s", data)
	}
}
