package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The example in its short form: fewer rows.
func TestFleet(t *testing.T) {
	var out strings.Builder
	err := run(&out, 200)
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		"killed one of three workers with -9", "200 results: 0 lost, 0 doubled",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &out, want)
		}
	}
}
