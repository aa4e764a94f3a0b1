//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// speedInput writes rows such as those of a chat.
func speedInput(t *testing.T, path string, rows int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	question := strings.Repeat("What is in this receipt, please? ", 6)
	for i := range rows {
		fmt.Fprintf(w, `{"custom_id":"row-%d","url":"/v1/chat/completions","body":{"model":"m",`+
			`"max_tokens":100,"messages":[{"role":"user","content":%q}]}}`+"\n", i, question)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A batch takes little memory, whatever the number of its rows. The test logs its figures, those of
// a loop in Go that keeps everything in memory, and with -long those of curl under xargs and GNU
// parallel. All of them are processes of their own, and use the same server. With -long there are a
// million rows.
func TestBatchSpeed(t *testing.T) {
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got.Add(1)
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"a lunch for two"}}],`+
			`"usage":{"prompt_tokens":60,"completion_tokens":5}}`)
	}))
	defer server.Close()
	rows := 2000
	if *long {
		rows = 1_000_000
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	speedInput(t, in, rows)
	measure := func(name string, rows int, c *exec.Cmd) (perSecond, megabytes float64) {
		t.Helper()
		got.Store(0)
		began := time.Now()
		if out, err := c.CombinedOutput(); err != nil || got.Load() != int64(rows) {
			t.Fatalf("%s: %v after %d requests, want %d: %s", name, err, got.Load(), rows, out)
		}
		perSecond = float64(rows) / time.Since(began).Seconds()
		megabytes = float64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
		cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		t.Logf("%s: %d rows, %.0f per second, %v of CPU a row, %.0f MB", name, rows, perSecond,
			cpu/time.Duration(rows), megabytes)
		return perSecond, megabytes
	}
	c := exec.CommandContext(t.Context(), filepath.Join(bin(t), "rebound"), "batch", in, "-o",
		filepath.Join(dir, "out.jsonl"), "--base", server.URL, "-j", "64")
	c.Env = environment(t)
	batch, megabytes := measure("batch", rows, c)
	if *long && megabytes > 48 {
		t.Errorf("%.0f MB, want at most 48", megabytes)
	}
	loop := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNaiveLoop$")
	loop.Env = append(os.Environ(), "LOOP_INPUT="+in, "LOOP_BASE="+server.URL)
	naive, _ := measure("a loop in memory", rows, loop)
	t.Logf("the batch is %.2f times as fast as the loop", batch/naive)
	if !*long {
		return
	}
	const some = 2000
	for name, pipe := range map[string]string{
		"xargs":    `head -%d %s | xargs -d '\n' -P 64 -I{} curl -s -o /dev/null -d {} %s/v1/x`,
		"parallel": `head -%d %s | parallel -j64 --pipe -N1 curl -s -d @- %s/v1/x > /dev/null`,
	} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s is not installed", name)
			continue
		}
		each, _ := measure("curl under "+name, some, exec.CommandContext(t.Context(), "bash", "-c",
			fmt.Sprintf(pipe, some, in, server.URL)))
		t.Logf("the batch is %.0f times as fast as curl under %s", batch/each, name)
	}
}

// TestNaiveLoop is the process of the loop in TestBatchSpeed: the usual loop, with all rows and all
// answers in memory. It does less than a batch: it parses nothing, and writes no results.
func TestNaiveLoop(t *testing.T) {
	in, base := os.Getenv("LOOP_INPUT"), os.Getenv("LOOP_BASE")
	if in == "" {
		t.Skip("it is a part of TestBatchSpeed")
	}
	data, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	lines := slices.Collect(bytes.Lines(data))
	answers := make([][]byte, len(lines))
	var all sync.WaitGroup
	turns := make(chan struct{}, 64)
	for i, line := range lines {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			resp, err := client.Post(base+"/v1/chat/completions", "application/json",
				bytes.NewReader(line))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if answers[i], err = io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	runtime.KeepAlive(answers)
}
