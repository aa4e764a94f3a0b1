//go:build unix

package main

import (
	"strings"
	"testing"
)

// badInput are command lines, and what the one line of their answer has in it.
var badInput = []struct{ script, want string }{
	{`rebound rn`, `there is no command "rn": did you mean "run"?`},
	{`rebound help rn`, `there is no command "rn": did you mean "run"?`},
	{`rebound completion bsh`, `there is no command "bsh": did you mean "bash"?`},
	{`rebound completion tcsh`, `there is no command "tcsh": want one of bash, fish, `},
	{`rebound version 1`, `unknown command "1"`},
	{`rebound plan > /dev/full`, `no space left on device`},
	{`rebound plan --json > /dev/full`, `no space left on device`},
	{`rebound policies > /dev/full`, `no space left on device`},
	{`rebound policies --schema > /dev/full`, `no space left on device`},
	{`rebound version > /dev/full`, `no space left on device`},
	{`rebound sim > /dev/full`, `no space left on device`},
	{`rebound sim blip -p zero > /dev/full`, `no space left on device`},
	{`rebound policies agressive`, `did you mean "aggressive"?`},
	{`rebound policies ''`, `"" is no policy and no file`},
	{`rebound policies $'a\nb\e[31m\u202e'`, `"a\nb\x1b[31m\u202e" is no policy and no file`},
	{`mkdir d; rebound policies d`, `is a directory`},
	{`: > e.yaml; rebound policies e.yaml`, `it is empty`},
	{`printf '\x89PNG\r\n\x1a\n\0' > p.yaml; rebound policies p.yaml`, `it is no text`},
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

// Every subcommand answers bad input in one line, and exits with 1.
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

// A file may have a # in its name, or in that of its folder.
func TestFileNameWithSharp(t *testing.T) {
	code, out := script(t, `mkdir 'c#'; cd 'c#'; printf 'policies:\n  a: {}\n' > 'a#b.yaml'
		rebound policies 'a#b.yaml'; rebound policies "$PWD/a#b.yaml"`)
	if code != 0 || strings.Count(out, "\na ") != 2 {
		t.Errorf("got exit code %d, %q, want the policy twice", code, out)
	}
}
