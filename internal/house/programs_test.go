package house_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/internal/daemon"
)

// withoutProgram are the pages that need no program, and why.
var withoutProgram = map[string]string{
	"docs/architecture.md": "about the code of this repository",
	"docs/releasing.md":    "about the code of this repository",
	"docs/performance.md":  "its commands run in a clone",
	"docs/index.md":        "a list of pages",
}

// runElsewhere are the pages whose programs another test runs, and that test.
var runElsewhere = map[string]struct{ file, test string }{
	"docs/proxy.md": {"interop/proxy/page_test.go", "TestExamplesOfThePage"},
	"docs/fleet.md": {"examples/fleet/main_test.go", "TestFleet"}, // the program that it links
}

// A program in a page, and what it prints, if a block of text follows at once. It is Go, or a
// script for bash, which has the command rebound and a free PORT.
var wholeProgram = regexp.MustCompile(
	"(?ms)^```(?:go|sh)\n((?:(?://[^\n]*\n)*package \\w+|#!/usr/bin/env bash)\n.*?)^```$" +
		"(?:\n\nIt prints\n\n```text\n(.*?)^```$)?")

// Each page has a program that can be copied whole. It runs, and prints the text below it. That
// takes some 15 s, so the programs run with -long, and in .ci/run.
func TestPagesHaveAProgram(t *testing.T) {
	for page, text := range pages(t) {
		if _, ok := withoutProgram[page]; ok || !strings.HasPrefix(page, "docs/") {
			continue
		}
		if by, ok := runElsewhere[page]; ok {
			if !hasFunc(by.file, by.test) {
				t.Errorf("%s: there is no %s in %s", page, by.test, by.file)
			}
			continue
		}
		programs := wholeProgram.FindAllStringSubmatch(text, -1)
		if len(programs) == 0 {
			t.Errorf("%s has no program that begins with its package and can be copied", page)
		}
		for _, program := range programs {
			t.Run(filepath.Base(page), func(t *testing.T) {
				if t.Parallel(); !*long {
					t.Skip("without -long")
				}
				runProgram(t, program[1], program[2])
			})
		}
	}
}

// The index leads to every page.
func TestIndexIsComplete(t *testing.T) {
	all := pages(t)
	for page := range all {
		name := filepath.Base(page)
		if page != "docs/index.md" && strings.HasPrefix(page, "docs/") &&
			!strings.Contains(all["docs/index.md"], "]("+name+")") {
			t.Errorf("docs/index.md has no link to %s", name)
		}
	}
}

// runProgram runs a program, a test or a script with the modules of the workspace.
func runProgram(t *testing.T, program, want string) {
	dir, name := t.TempDir(), "main.go"
	args := []string{"go", "run"}
	env := os.Environ()
	switch {
	case strings.HasPrefix(program, "#!"):
		name, args = "main.sh", []string{"bash"}
		env = append(env, "PATH="+command(t)+":"+os.Getenv("PATH"), "PORT="+freePort(t))
	case strings.Contains(program, "testing.T)"):
		name, args = "main_test.go", []string{"go", "test"}
	}
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), args[0], append(args[1:], name)...)
	if c.Env = env; args[0] == "bash" {
		c.Dir = dir // go needs the workspace
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %v: %s%s", args, err, &stdout, &stderr)
	}
	if got := stdout.String(); want != "" && got != want {
		t.Errorf("got\n%s\nwant\n%s%s", got, want, &stderr)
	}
}

// command builds the command rebound, and returns its folder.
func command(t *testing.T) string {
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/rebound").
		CombinedOutput()
	if err != nil {
		t.Fatalf("go build ./cmd/rebound: %v: %s", err, out)
	}
	return dir
}

func freePort(t *testing.T) string {
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}
