//go:build unix

package main

import (
	"strings"
	"testing"
)

// The error of a command that cannot start has the right hint.
func TestStartHints(t *testing.T) {
	for _, row := range []struct{ script, want string }{
		{`rebound run -- 'a && b'`, `to run a shell command line: bash -c 'a && b'`},
		{`rebound run -- 'ls -l'`, `to run a shell command line: bash -c 'ls -l'`},
		{`rebound run -- './it is' "x'y"`, `to run a shell command line: bash -c './it is `},
		{`rebound run -- if true`, `to run a shell command line: bash -c 'if true'`},
		{`rebound run -- cd 'a b'`, `to run a shell builtin: bash -c 'cd '\''a b'\'''`},
		{`rebound run -- A=1 env`, `to set a variable: env A=1 env`},
		{`rebound run -- deploy-it now`, `: export -f deploy-it, then bash -c 'deploy-it now'`},
		{`f_x() { :; }; rebound run -- f_x`, `: export -f f_x, then bash -c f_x`},
		{`f_x() { :; }; export -f f_x; rebound run -- f_x`, `to run a shell function: bash -c f_x`},
		{`echo ls > s; chmod +x s; rebound run -- ./s`, `needs a shell: sh ./s`},
		{`echo '#!/no/such' > s; chmod +x s; rebound run -- ./s`, `in its #! line does not exist`},
		{`rebound run -- ./none`, `cannot start: no such file or directory (not`},
		{`rebound run -- /`, `cannot start: is a directory (not`},
		{`rebound run -- ''`, `the name of the command is empty: want rebound run [flags] -- command`},
		{`rebound run -- $'\e[31m'`, `"\x1b[31m": attempt 1`},
	} {
		code, out := script(t, row.script)
		if code != 126 && code != 127 || !strings.Contains(out, row.want) ||
			strings.Count(out, "\n") != 1 || strings.Contains(out, "\x1b") {
			t.Errorf("%s: got exit code %d, %q, want one line with %q",
				row.script, code, out, row.want)
		}
	}
}
