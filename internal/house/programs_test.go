package house_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// withoutProgram are the pages that need no Go program, and why.
var withoutProgram = map[string]string{
	"docs/architecture.md": "about the code of this repository",
	"docs/releasing.md":    "about the code of this repository",
	"docs/performance.md":  "its commands are in it",
	"docs/index.md":        "a list of pages",
	"docs/command.md":      "for the shell: transcripts, replayed by cmd/rebound",
	"docs/batch.md":        "for the shell",
	"docs/proxy.md":        "for the shell",
	"docs/temporal.md":     "needs a server",
	"docs/fleet.md":        "needs servers",
	"docs/engines.md":      "adapters to copy, tested in interop/engines",
}

// needServers are the pages whose programs need a server: they are built and not run.
var needServers = map[string]bool{"docs/temporal.md": true, "docs/fleet.md": true}

// A program in a page, and what it prints, if a block of text follows at once.
var wholeProgram = regexp.MustCompile(
	"(?ms)^```go\n((?://[^\n]*\n)*package \\w+\n.*?)^```$" +
		"(?:\n\nIt prints\n\n```text\n(.*?)^```$)?")

// Each page has a program that can be copied as a whole. It runs, and prints what the page has
// below it. That takes ten seconds, so they run with -long, and in .ci/run.
func TestPagesHaveAProgram(t *testing.T) {
	for page, text := range pages(t) {
		if _, ok := withoutProgram[page]; ok || !strings.HasPrefix(page, "docs/") {
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
				runProgram(t, program[1], program[2], needServers[page])
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

// runProgram runs a program or a test with the modules of the workspace.
func runProgram(t *testing.T, program, want string, buildOnly bool) {
	dir, verb, name := t.TempDir(), "run", "main.go"
	if strings.Contains(program, "testing.T)") {
		verb, name = "test", "main_test.go"
	}
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if buildOnly {
		verb = "vet"
	}
	c := exec.CommandContext(t.Context(), "go", verb, name)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("go %s: %v: %s%s", verb, err, &stdout, &stderr)
	}
	if got := stdout.String(); want != "" && got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
