package main

import (
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/internal/strictjson"
)

// newRoot returns the command, which writes to out.
func newRoot(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "rebound",
		Short: "Retry commands and requests, and simulate retry policies",
		Long: "rebound retries commands and requests under a policy, and simulates policies.\n\n" +
			"A policy sets the number of attempts, the delays, and when to stop. Built-in policies\n" +
			"have names, such as zero; rebound policies lists them. Your own policies are in files:\n" +
			"policies.yaml#ocr is the policy ocr in the file policies.yaml.",
		Args:                  cobra.ArbitraryArgs,
		PersistentPreRunE:     checkFlags,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
	}
	// cobra's own --version uses text/template: see TestLinkerDropsMethods in internal/house.
	show := root.Flags().BoolP("version", "v", false, "print the version")
	root.RunE = func(c *cobra.Command, args []string) error {
		if *show {
			return printVersion(c)
		}
		return subcommand(c, args)
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newPlan(), newSim(), newRun(), newPolicies(), newVersion(), newBatch(), newProxy(),
		newMan())
	root.SetHelpCommand(newHelp())
	root.SetOut(out) // before InitDefaultCompletionCmd, which reads it
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.HasSubCommands() && sub.RunE == nil {
			sub.Args, sub.RunE = cobra.ArbitraryArgs, subcommand
		}
	}
	return root
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]...",
		Short: "Print the help of a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 && about.HasSubCommands() {
				return subcommand(about, rest)
			}
			return about.Help()
		},
	}
}

// subcommand runs a command that has subcommands. Without arguments it prints the help. Otherwise
// the first argument is an unknown subcommand, and it returns an error with a hint.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	hint := strictjson.Hint(args[0], known)
	_, err := exec.LookPath(args[0])
	if err == nil && !c.HasParent() && strings.HasPrefix(hint, "want") {
		hint = fmt.Sprintf("to run a program: rebound run -- %s", strings.Join(args, " "))
	}
	return fmt.Errorf("there is no command %q: %s", args[0], hint)
}
