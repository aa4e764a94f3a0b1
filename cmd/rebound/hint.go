package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// startHint returns a hint for a command that cannot be started, or "". Most often the command
// needs a shell, which rebound does not use.
func startHint(args []string, res process.Result) string {
	name := args[0]
	switch {
	case errors.Is(res.Err, exec.ErrNotFound):
		return shellHint(args)
	case errors.Is(res.Err, syscall.ENOEXEC):
		return "a script without a #! line needs a shell: sh " + shellWord(name)
	case !errors.Is(res.Err, fs.ErrNotExist):
		return ""
	}
	if _, err := os.Stat(name); err == nil {
		return "the program in its #! line does not exist"
	}
	if strings.ContainsAny(name, " \t") {
		return shellHint(args)
	}
	return ""
}

// assignment matches name=value, which sets a variable in front of a command of the shell.
var assignment = regexp.MustCompile(`^\w+=`)

// shellHint is startHint for a name that is not in $PATH.
func shellHint(args []string) string {
	name, line := args[0], args[0]
	for _, arg := range args[1:] {
		line += " " + shellWord(arg)
	}
	inShell := "bash -c " + shellWord(line)
	switch {
	case name == "":
		return ""
	case assignment.MatchString(name):
		return "to set a variable: env " + line
	case strings.ContainsAny(name, " \t\n;&|<>()$`*"), slices.Contains(keywords, name):
		return "to run a shell command line: " + inShell
	case slices.Contains(builtins, name):
		return "to run a shell builtin: " + inShell
	case exported(name):
		return "to run a shell function: " + inShell
	}
	return "to run a shell function: export -f " + name + ", then " + inShell
}

// keywords are the words of shells that begin a compound command.
var keywords = []string{
	"!", "[[", "case", "coproc", "for", "function", "if", "select", "time", "until", "while", "{",
}

// builtins lists commands of shells that are not programs.
var builtins = []string{
	".", "alias", "bg", "builtin", "cd", "declare", "eval", "exec", "exit", "export", "fg", "hash",
	"history", "jobs", "let", "local", "popd", "pushd", "read", "return", "set", "shift", "shopt",
	"source", "times", "trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait",
}

// exported reports whether bash has exported a function of that name.
func exported(name string) bool {
	_, ok := os.LookupEnv("BASH_FUNC_" + name + "%%")
	return ok
}

// shellWord quotes text as one word for a shell.
func shellWord(text string) string {
	if !strings.ContainsAny(text, " \t\n;&|<>()$`*'\"\\?[]#~=%!{}") && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
