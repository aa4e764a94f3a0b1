package main

import (
	"strings"
	"testing"
)

// On a slow machine the limit may have room again before it is asked.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(out.String(), "retrying: rate_limited in attempt 1\n", "")
	const want = "check: SERVING\ncheck: SERVING\ncheck: SERVING\nwatch: SERVING\n"
	if got != want {
		t.Errorf("got %s, want %s and retries", out.String(), want)
	}
}
