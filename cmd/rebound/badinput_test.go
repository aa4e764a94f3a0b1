//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badInput are command lines, with a part of the line that is printed for each.
var badInput = []struct{ script, want string }{
	{`rebound rn`, `there is no command "rn": did you mean "run"?`},
	{`rebound help rn`, `there is no command "rn": did you mean "run"?`},
	{`rebound completion bsh`, `there is no command "bsh": did you mean "bash"?`},
	{`rebound completion tcsh`, `there is no command "tcsh": want one of bash, fish, `},
	{`rebound version 1`, `unknown command "1"`},
	{`rebound policies agressive`, `did you mean "aggressive"?`},
	{`rebound policies ''`, `"" is neither a policy nor a file`},
	{`rebound policies $'a\nb\e[31m\u202e'`, `"a\nb\x1b[31m\u202e" is neither a policy nor a file`},
	{`mkdir d; rebound policies d`, `is a directory`},
	{`: > e.yaml; rebound policies e.yaml`, `it is empty`},
	{`printf '\x89PNG\r\n\x1a\n\0' > p.yaml; rebound policies p.yaml`, `is not text: want YAML`},
	{`printf '\xff\xfea\0' > u.yaml; rebound policies u.yaml`, `UTF-16`},
	{`printf 'policies:\n  a: {}\n' > a.yaml; rebound policies a.yaml#`, `has no name after the #`},
	{`printf 'policies:\n  a: {}\n' > a.yaml; rebound policies a.yaml#b`, `did you mean "a"?`},
	{`rebound plan --rows 0`, `--rows is 0: want 1 to 10000`},
	{`rebound plan --rows 99999999999999999999`, `the number is too large`},
	{`rebound plan zero zero`, `at most 1 arg`},
	{`rebound sim blip --set hedge=5`, `hedge: `},
	{`rebound sim blip --set hedge.aftr=5`, `hedge.aftr: there is no such field: did you mean "af`},
	{`rebound sim blip --set hedge.percentile=1`, `hedge.percentile is 1: want more than 0`},
	{`rebound sim cascade --set hedge.max=1`,
		`--set hedge.max: hedge is set: want none, because the scenario has layers`},
	{`printf 'like: blip\nhedge:\n  max: 1\n  percentile: 2\n' > h.yaml; rebound sim h.yaml`,
		`h.yaml:4: hedge.percentile is 2: want more than 0`},
	{`rebound plan zero -p zero`, `there are two policies`},
}

// Every subcommand reports bad input in one line, and exits with 1.
func TestBadInput(t *testing.T) {
	for _, row := range badInput {
		code, out := script(t, row.script)
		if code != 1 || !strings.HasPrefix(out, "rebound: ") || strings.Count(out, "\n") != 1 ||
			!strings.Contains(out, row.want) {
			t.Errorf("%s: got exit code %d, %q, want 1 and one line with %q",
				row.script, code, out, row.want)
		}
	}
}

// Output that cannot be written is a failure of rebound itself, help included.
func TestFullOutput(t *testing.T) {
	for _, line := range []string{
		`rebound > /dev/full`, `rebound --help > /dev/full`, `rebound -h > /dev/full`,
		`rebound --version > /dev/full`, `rebound version > /dev/full`, `rebound man > /dev/full`,
		`rebound help > /dev/full`,
		`rebound help sim > /dev/full`, `rebound run --help > /dev/full`,
		`rebound batch --help > /dev/full`, `rebound proxy --help > /dev/full`,
		`rebound completion bash > /dev/full`, `rebound completion > /dev/full`,
		`rebound plan > /dev/full`, `rebound plan --json > /dev/full`,
		`rebound policies > /dev/full`, `rebound policies --json > /dev/full`,
		`rebound policies --schema > /dev/full`, `rebound sim > /dev/full`,
		`rebound sim --schema > /dev/full`, `rebound sim blip -p zero > /dev/full`,
		`rebound sim blip -p zero --json > /dev/full`,
		`ln -s /dev/full a.svg; rebound sim blip -p zero --plot a.svg > /dev/null`,
		`rebound sim blip -p zero --plot no/such/folder.png > /dev/null`,
		`rebound run --output hold -- echo hello > /dev/full`,
		`rebound run --on-output x -- echo hello > /dev/full`,
		`rebound run --report-to /dev/full -- true`, `rebound run --report-to no/such/f -- true`,
		`echo '{"custom_id": "a", "method": "POST", "url": "/", "body": {}}' > in
		rebound batch in -o out --base http://localhost --dry-run > /dev/full`,
		`echo '{"custom_id": "a", "method": "POST", "url": "/", "body": {}}' > in
		rebound batch in -o no/such/out --base http://localhost --dry-run`,
	} {
		code, out := script(t, line)
		if code != ownFailure || !strings.HasPrefix(out, "rebound: ") || strings.Count(out, "\n") != 1 ||
			!strings.Contains(out, "no space left on device") && !strings.Contains(out, "no such file") {
			t.Errorf("%s: got exit code %d, %q, want %d and one line with the reason",
				line, code, out, ownFailure)
		}
	}
}

// An empty command name is "not found", as in a shell.
func TestEmptyCommand(t *testing.T) {
	for _, line := range []string{
		`rebound run -- ''`, `rebound run -- "$NOT_SET" x`, `rebound run ''`, `rebound run -n 3 -q -- ''`,
		`rebound proxy --to http://localhost -- ''`, `rebound run --wait-for tcp://localhost:1 -- ''`,
	} {
		code, out := script(t, line)
		if code != 127 || !strings.HasPrefix(out, "rebound: the name of the command is empty: want ") ||
			strings.Count(out, "\n") != 1 {
			t.Errorf("%s: got exit code %d, %q, want 127 and one line", line, code, out)
		}
	}
}

// Wherever a file is expected, anything that is not a file is an error at once.
func TestNoFile(t *testing.T) {
	t.Setenv("SOCKET", filepath.Join(t.TempDir(), "s"))
	l, err := net.Listen("unix", os.Getenv("SOCKET"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const row = `echo '{"custom_id": "a", "method": "POST", "url": "/", "body": {}}' > in; `
	for _, line := range []string{
		`rebound sim %s`, `rebound policies %s`, `rebound policies '%s#a'`, `rebound plan -p %s`,
		`rebound sim outage -p %s`, `rebound run -p %s -- true`,
		`echo "compare: [%s]" > s.yaml; rebound sim s.yaml`,
		`rebound proxy --to http://localhost -p %s`,
		`rebound batch %s -o out --base http://localhost --dry-run`,
		row + `rebound batch in -o out --base http://localhost --prices %s --dry-run`,
		row + `rebound batch in -o out --base http://localhost -H 'A: @%s' --dry-run`,
	} {
		for name, what := range map[string]string{
			"fifo": "FIFO", "socket": "socket", ".": "directory",
			"/dev/zero": "device", "/dev/null": "device",
		} {
			code, out := script(t, "mkfifo fifo; ln -s \"$SOCKET\" socket; "+
				strings.ReplaceAll(line, "%s", name))
			want := name + " is a " + what + ": want a regular file"
			if code == 0 || !strings.HasPrefix(out, "rebound: ") || strings.Count(out, "\n") != 1 ||
				!strings.Contains(out, want) {
				t.Errorf("%s with %s: got exit code %d, %q, want one line with %s", line, name, code, out, want)
			}
		}
	}
	code, out := script(t, `rebound policies <(echo 'policies: {a: {}}') && echo 'policies: {b: {}}' |
		rebound policies /dev/stdin`)
	if code != 0 || !strings.Contains(out, "\na ") || !strings.Contains(out, "\nb ") {
		t.Errorf("got exit code %d, %q, want the policies of two pipes", code, out)
	}
}

// A file may have a # in its name, or in that of its folder.
func TestFileNameWithSharp(t *testing.T) {
	code, out := script(t, `mkdir 'c#'; cd 'c#'; printf 'policies:\n  a: {}\n' > 'a#b.yaml'
		rebound policies 'a#b.yaml'; rebound policies "$PWD/a#b.yaml"`)
	if code != 0 || strings.Count(out, "\na ") != 2 {
		t.Errorf("got exit code %d, %q, want the policy twice", code, out)
	}
}
