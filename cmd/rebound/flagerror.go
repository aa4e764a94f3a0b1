package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rebound-go/rebound/internal/strictjson"
)

// flagError rewrites an error of package pflag as one line that begins with the flag. If another
// flag was probably meant, the line names it.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &invalid):
		err = invalidValue(c.Flags(), invalid)
	case errors.As(err, &missing):
		err = fmt.Errorf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &unknown):
		err = unknownFlag(c, unknown)
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", `\n`)) // a value may have newlines
}

func invalidValue(s *pflag.FlagSet, e *pflag.InvalidValueError) error {
	f, value := e.GetFlag(), e.GetValue()
	if meant := s.Lookup(f.Shorthand + upToEqual(value)); f.Shorthand != "" && meant != nil {
		return oneDash(meant)
	}
	var number *strconv.NumError
	switch {
	case value == "--":
		return fmt.Errorf("--%s needs a value", f.Name)
	case f.Hidden:
		return fmt.Errorf("--%s %s: %w", f.Name, value, e.Unwrap())
	case f.Value.Type() == "bool":
		return fmt.Errorf("--%s is %q: want true or false", f.Name, value)
	case errors.As(e.Unwrap(), &number) && errors.Is(number, strconv.ErrRange):
		return fmt.Errorf("--%s is %s: the number is too large", f.Name, value)
	case errors.As(e.Unwrap(), &number):
		return fmt.Errorf("--%s is %q: want a number", f.Name, value)
	}
	return fmt.Errorf("--%s: %w", f.Name, e.Unwrap())
}

// unknownFlag names the flag that was probably meant: one with a typing error, or a long one with a
// single dash, which pflag reads as a group of short flags.
func unknownFlag(c *cobra.Command, e *pflag.NotExistError) error {
	var known []string
	group := upToEqual(e.GetSpecifiedShortnames())
	var meant *pflag.Flag
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
		if f.Name == group || f.Shorthand != "" && f.Name == f.Shorthand+group {
			meant = f
		}
	})
	switch {
	case meant != nil:
		return oneDash(meant)
	case group != "":
		return fmt.Errorf("there is no flag -%s: see %s --help", e.GetSpecifiedName(), c.CommandPath())
	}
	hint := fmt.Sprintf("see %s --help", c.CommandPath())
	if guess, ok := strings.CutPrefix(
		strictjson.Hint(e.GetSpecifiedName(), known), "did you mean "); ok {
		hint = "did you mean --" + strings.Trim(guess, `"?`) + "?"
	}
	return fmt.Errorf("there is no flag --%s: %s", e.GetSpecifiedName(), hint)
}

func oneDash(meant *pflag.Flag) error {
	return fmt.Errorf("did you mean --%s, with two dashes?", meant.Name)
}

func upToEqual(text string) string {
	name, _, _ := strings.Cut(text, "=")
	return name
}
