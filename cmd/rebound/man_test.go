package main

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// output runs the command, and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("rebound %v: got exit code %d, want 0: %s", args, code, &stderr)
	}
	return stdout.String()
}

// everyCommand calls do with each command that the help lists.
func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			everyCommand(sub, do)
		}
	}
}

// flags calls do with each flag that the help of c lists.
func flags(c *cobra.Command, do func(name, usage string)) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, usage := pflag.UnquoteUsage(f); !f.Hidden && f.Name != "help" {
			do(f.Name, usage)
		}
	})
}

// The manual page has every line of every command's help, and every flag.
func TestManualIsTheHelp(t *testing.T) {
	plain := strings.NewReplacer(`\e`, `\`, `\-`, "-", `\(aq`, "'", `\(ga`, "`", `\(ha`, "^",
		`\(ti`, "~", `\(dq`, `"`, `\[u2026]`, "…", "\n\\&.", "\n.")
	got := plain.Replace(output(t, "man"))
	commands := 0
	everyCommand(newRoot(io.Discard), func(c *cobra.Command) {
		commands++
		for l := range strings.Lines(c.Long + "\n" + c.Example) {
			if !strings.Contains(got, strings.TrimSpace(l)) {
				t.Errorf("%s: the manual lacks the line %q", c.CommandPath(), l)
			}
		}
		flags(c, func(name, usage string) {
			if !strings.Contains(got, "--"+name+" ") || !strings.Contains(got, usage) {
				t.Errorf("%s: the manual lacks --%s, %s", c.CommandPath(), name, usage)
			}
		})
		if !strings.Contains(got, ".SS \""+c.UseLine()+`"`) && c.HasParent() {
			t.Errorf("the manual has no section %q", c.UseLine())
		}
	})
	if commands < 10 {
		t.Errorf("%d commands, want all", commands)
	}
}

func TestManualIsValid(t *testing.T) {
	c := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbou")
	c.Stdin = strings.NewReader(output(t, "man"))
	var warnings bytes.Buffer
	c.Stderr = &warnings
	text, err := c.Output()
	if err != nil {
		t.Skip("no groff:", err)
	}
	if warnings.Len() > 0 {
		t.Errorf("groff warns: %s", &warnings)
	}
	for _, want := range []string{
		"--attempts number", "'Authorization: Bearer $OPENAI_API_KEY'", "{…}",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page shows no %q", want)
		}
	}
}

// A shell completes every command and flag, and shows its line of help.
func TestCompletionsAreTheHelp(t *testing.T) {
	everyCommand(newRoot(io.Discard), func(c *cobra.Command) {
		at := strings.Fields(c.CommandPath())[1:]
		offered := output(t, append(append([]string{"__complete"}, at...), "")...)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && !strings.Contains(offered, sub.Name()+"\t"+sub.Short+"\n") {
				t.Errorf("%s: %q is not offered", c.CommandPath(), sub.Name())
			}
		}
		offered = output(t, append(append([]string{"__complete"}, at...), "--")...)
		flags(c, func(name, usage string) {
			if !strings.Contains(offered, "--"+name+"\t"+usage) {
				t.Errorf("%s: --%s is not offered", c.CommandPath(), name)
			}
		})
	})
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script, err := exec.Command(filepath.Join(bin(t), "rebound"), "completion", shell).Output()
		if err != nil || len(script) == 0 {
			t.Errorf("%s: got a completion of %d bytes, %v", shell, len(script), err)
		}
		if _, err := exec.LookPath(shell); err != nil || shell == "powershell" {
			continue
		}
		c := exec.Command(shell, "-n")
		c.Stdin = bytes.NewReader(script)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
