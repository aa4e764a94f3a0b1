package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// night runs the program.
func night(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

// lineOfTruth is the last line of stdout, in numbers.
func lineOfTruth(t *testing.T, stdout string) (in, sum, failed int) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var e, b, s, i int
	last := regexp.MustCompile(`interrupted = \d+, `).ReplaceAllStringFunc(lines[len(lines)-1],
		func(found string) string {
			_, _ = fmt.Sscanf(found, "interrupted = %d", &i)
			return ""
		})
	_, err := fmt.Sscanf(last, "receipts in = %d, extracted = %d, by fallback = %d, skipped = %d, "+
		"failed = %d, lost = 0, duplicated = 0, wrong = 0", &in, &e, &b, &s, &failed)
	if err != nil {
		t.Fatalf("the last line is %q: %v", lines[len(lines)-1], err)
	}
	return in, e + b + s + failed + i, failed
}

func TestNight(t *testing.T) {
	const n = 60
	code, stdout, stderr := night(t.Context(), "-receipts", "60", "-speed", "200", "-seed", "3")
	if code != exitOK {
		t.Errorf("exit code %d, want %d\n%s", code, exitOK, stderr)
	}
	if in, sum, _ := lineOfTruth(t, stdout); in != n || sum != n {
		t.Errorf("%d receipts in and %d out, want %d", in, sum, n)
	}
	for _, want := range []string{
		"60 receipts, 8 workers, seed 3; all times divided by 200", "down", "by policy",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	if want := "ocr breaker: closed -> open"; !strings.Contains(stderr, want) {
		t.Errorf("progress lacks %q:\n%s", want, stderr)
	}
}

func TestNightWithoutRetries(t *testing.T) {
	args := []string{"-receipts", "60", "-speed", "200"}
	_, with, _ := night(t.Context(), args...)
	code, without, _ := night(t.Context(), append(args, "-no-retry")...)
	if code != exitOK {
		t.Errorf("exit code %d, want %d: what fails is not lost", code, exitOK)
	}
	_, _, few := lineOfTruth(t, with)
	if _, _, many := lineOfTruth(t, without); many <= few {
		t.Errorf("%d failed without retries, and %d with them", many, few)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(time.Second, cancel)
	defer stop.Stop()
	code, stdout, stderr := night(ctx) // all of it would take 20 seconds
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	in, sum, _ := lineOfTruth(t, stdout)
	if in == 0 || in >= inTestdata || sum != in {
		t.Errorf("%d receipts in and %d out, want some, but not all %d", in, sum, inTestdata)
	}
	if !strings.Contains(stderr, "interrupted") {
		t.Errorf("progress does not show the interruption:\n%s", stderr)
	}
}

// No service and no worker outlives the run, whether it is complete or interrupted.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	night(t.Context(), "-receipts", "10", "-speed", "1000", "-debug", "localhost:0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	night(ctx)
	deadline := time.Now().Add(10 * time.Second) // connections take a moment to close
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, want %d:\n%s", runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

func TestBadFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-speed 0", "-speed is 0: want 0.01 to 10000"},
		{"-speed -1", "-speed is -1"},
		{"-speed NaN", "-speed is NaN"},
		{"-speed 10001", "-speed is 10001"},
		{"-speed fast", `invalid value "fast" for flag -speed`},
		{"-receipts 0", "-receipts is 0: want 1 to 300"},
		{"-receipts 301", "-receipts is 301: want 1 to 300"},
		{"-seed -1", `invalid value "-1" for flag -seed`},
		{"-retry", "flag provided but not defined: -retry"},
		{"all", `unexpected argument "all"`},
	} {
		code, stdout, stderr := night(t.Context(), strings.Fields(tt.args)...)
		if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "receipts: "+tt.want) {
			t.Errorf("%s: exit code %d, stderr %q; want %d, %q",
				tt.args, code, stderr, exitUsage, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	code, _, stderr := night(t.Context(), "-h")
	for _, flag := range []string{"-receipts", "-seed", "-speed", "-no-retry", "-debug"} {
		if !strings.Contains(stderr, flag) {
			t.Errorf("the help does not mention %s:\n%s", flag, stderr)
		}
	}
	if code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
}
