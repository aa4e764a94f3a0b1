package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unused are command lines with a flag that would be ignored, and the answer.
var unused = []struct {
	line string
	code int
	want string
}{
	{"sim --set server.workers=5", 1,
		"--set has no effect without a scenario: want rebound sim outage --set …"},
	{"sim --sweep attempts=1..5", 1, "--sweep has no effect without a scenario"},
	{"sim --policy zero", 1, "--policy has no effect without a scenario"},
	{"sim --json", 1, "--json has no effect without a scenario"},
	{"sim --schema --json", 1, "--json has no effect together with --schema: want one of them"},
	{"sim --schema outage", 1, "outage has no effect together with --schema: want one of them"},
	{"sim outage --set attempts=1 --set attempts=2", 1,
		"--set attempts: already set by --set attempts: want one of them"},
	{"sim outage --set attempts=1 --sweep attempts=2,3", 1,
		"--sweep attempts: already set by --set attempts: want one of them"},
	{"sim outage --duration 60 --sweep duration=40s,50s", 1,
		"--sweep duration: already set by --duration: want one of them"},
	{"sim outage --seed 5 --set seed=6", 1, "--set seed: already set by --seed"},
	{"sim outage --no-jitter --set no_jitter=false", 1,
		"--set no_jitter: already set by --no-jitter"},
	{"policies --schema --json", 1, "--json has no effect together with --schema"},
	{"policies --schema zero", 1, "zero has no effect together with --schema"},
	{"plan zero --policy zero", 1, "there are two policies"},
	{"run --max-retry-after 5m -- true", 125, "--max-retry-after has no effect without --delay-from"},
	{"run --steps 1,2 --delay 3 -- true", 125, "--delay is set: the kind steps does not have it"},
	{"run --factor 3 --backoff linear -- true", 125, "--factor is set: the kind linear does not "},
	{"plan --step 3", 1, "--step is set: the kind exponential does not have it"},
	{"plan --delay 0 --max-delay 3", 1, "--max-delay is set: the kind constant does not have it"},
	{"plan --delay 0 --jitter full", 1, "--jitter is set: the kind constant does not have it"},
	{"batch in -o out --probe 5 --dry-run", 125, "--probe has no effect together with --dry-run"},
	{"proxy --to http://localhost --token a --token-env b", 125,
		"--token-env has no effect together with --token"},
	{"proxy --to http://localhost -p zero -p aggressive", 125,
		"--policy zero and --policy aggressive are for the same routes: want one"},
	{"proxy --route /a=http://localhost -p /a=zero -p /a/=aggressive", 125,
		"--policy /a=zero and --policy /a/=aggressive are for the same routes: want one"},
	{"proxy --route /a=http://localhost -p /a=zero -p aggressive", 125,
		"--policy aggressive has no effect: each route has its own --policy"},
	{"proxy --route /a=http://localhost -p /b=zero", 125, "--policy /b=zero: there is no --route /b"},
}

// A flag that would be ignored is an error.
func TestUnusedFlags(t *testing.T) {
	for _, row := range unused {
		var out bytes.Buffer
		code := run(strings.Fields(row.line), strings.NewReader(""), &out, &out)
		got := out.String()
		if code != row.code || !strings.HasPrefix(got, "rebound: "+row.want) ||
			strings.Count(got, "\n") != 1 {
			t.Errorf("%s: got %d, %q, want %d and one line with %q", row.line, code, got, row.code, row.want)
		}
	}
}

// An empty value is an error for every flag of every command. It usually comes from a variable that
// is not set, and would mean the default.
func TestEmptyValues(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("in", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := map[string][]string{
		"sim": {"outage"}, "run": {}, "batch": {"in", "-o", "out"},
		"proxy": {"--to", "http://127.0.0.1:1"},
	}
	tested := 0
	for _, c := range newRoot(io.Discard).Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if c.Name() == "completion" || c.Name() == "help" || f.Name == "help" {
				return
			}
			tested++
			line := slices.Concat([]string{c.Name()}, args[c.Name()], []string{"--" + f.Name + "="})
			if c.Name() == "run" {
				line = append(line, "--", "true")
			}
			var out bytes.Buffer
			code := run(line, strings.NewReader(""), &out, &out)
			got := out.String()
			if code != ownCode(c) || !strings.HasPrefix(got, "rebound: ") ||
				!strings.Contains(got, f.Name) && !f.Hidden || strings.Count(got, "\n") != 1 {
				t.Errorf("%v: got %d, %q, want %d and one line about the flag", line, code, got, ownCode(c))
			}
		})
	}
	if tested < 100 {
		t.Errorf("only %d flags were tested", tested)
	}
}

// ownCode is the exit code of a command that fails itself.
func ownCode(c *cobra.Command) int {
	switch c.Name() {
	case "run", "batch", "proxy":
		return ownFailure
	}
	return 1
}
