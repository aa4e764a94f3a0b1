package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long: "Print the manual page, which has the help of every command. The examples show how to\n" +
			"read it and how to install it.",
		Example: "  rebound man | man -l -\n" +
			"  rebound man >/usr/local/share/man/man1/rebound.1",
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, _ []string) error {
			var b strings.Builder
			manual(&b, c.Root())
			_, err := io.WriteString(c.OutOrStdout(), b.String())
			return err
		},
	}
}

// manual writes the page. It repeats the help line by line, so that there is only one text to
// maintain.
func manual(b *strings.Builder, root *cobra.Command) {
	fmt.Fprintf(b, ".TH REBOUND 1 \"\" %s\n", argument(root.Name()))
	fmt.Fprintf(b, ".SH NAME\n%s \\- %s\n", root.Name(), roff(root.Short))
	fmt.Fprintf(b, ".SH SYNOPSIS\n.nf\n%s <command> [flags]\n.fi\n", root.Name())
	fmt.Fprintf(b, ".SH DESCRIPTION\n%s", asIs(root.Long))
	fmt.Fprintf(b, ".SH OPTIONS\n%s", asIs(root.LocalFlags().FlagUsages()))
	b.WriteString(".SH COMMANDS\n")
	manualOf(b, root)
}

// manualOf writes a section for each command below c.
func manualOf(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(b, ".SS %s\n", argument(sub.UseLine()))
		about := sub.Long
		if about == "" {
			about = sub.Short + "."
		}
		b.WriteString(asIs(about))
		if sub.HasExample() {
			fmt.Fprintf(b, ".PP\n%s", asIs(sub.Example))
		}
		if flags := sub.LocalFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(b, ".PP\n%s", asIs(flags.FlagUsages()))
		}
		manualOf(b, sub)
	}
}

// asIs returns text in a block whose lines man does not join.
func asIs(text string) string {
	return ".nf\n" + roff(strings.TrimRight(text, "\n")) + "\n.fi\n"
}

var literal = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`,
	"~", `\(ti`, "…", `\[u2026]`)

// roff escapes the characters that have a meaning in roff.
func roff(text string) string {
	text = literal.Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// argument returns text as one argument of a macro.
func argument(text string) string {
	return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"`
}
