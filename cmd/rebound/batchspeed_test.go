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
	"strings"
	"sync"
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
// a loop in Go that keeps everything in memory, and those of curl under GNU parallel. With -long
// there are a million rows.
func TestBatchSpeed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
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
	c := exec.CommandContext(t.Context(), filepath.Join(bin(t), "rebound"), "batch", in, "-o",
		filepath.Join(dir, "out.jsonl"), "--base", server.URL, "-j", "64")
	c.Env = environment(t)
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(began)
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	megabytes := float64(usage.Maxrss) / 1024
	t.Logf("batch: %d rows in %v, %v of CPU a row, %.0f MB", rows, took, cpu/time.Duration(rows),
		megabytes)
	if *long && megabytes > 48 {
		t.Errorf("%.0f MB, want at most 48", megabytes)
	}
	began = time.Now()
	naive(t, in, server.URL)
	loop := time.Since(began)
	// Both ends of its connections are in one process, which saves about half of the time of a row.
	t.Logf("a loop in memory, in the server's process: %d rows in %v; the batch is %.2f times as fast",
		rows, loop, loop.Seconds()/took.Seconds())
	if *long {
		parallel(t, in, server.URL)
	}
}

// parallel sends the first rows by curl under GNU parallel, if that is installed.
func parallel(t *testing.T, in, base string) {
	if _, err := exec.LookPath("parallel"); err != nil {
		return
	}
	const some = 2000
	began := time.Now()
	c := exec.CommandContext(t.Context(), "bash", "-c", fmt.Sprintf(
		"head -%d %s | parallel -j64 --pipe -N1 curl -s -d @- %s/v1/x > /dev/null", some, in, base))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("curl under GNU parallel: %d rows in %v", some, time.Since(began))
}

// naive is the usual loop, with all rows and all answers in memory.
func naive(t *testing.T, in, base string) {
	data, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var all sync.WaitGroup
	turns := make(chan struct{}, 64)
	for line := range bytes.Lines(data) {
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
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
