package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checkFlags rejects flags that would be ignored. One kind has an empty value, most often from a
// variable that is not set. The other has no effect because of another flag.
func checkFlags(c *cobra.Command, args []string) error {
	var err error
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && isEmpty(f.Value) {
			err = fmt.Errorf("--%s is empty: want a value, or no --%s", f.Name, f.Name)
		}
	})
	if err == nil {
		err = withoutEffect(c, args)
	}
	if err != nil {
		return c.FlagErrorFunc()(c, err) // sets the command's exit code
	}
	return nil
}

func isEmpty(v pflag.Value) bool {
	list, ok := v.(pflag.SliceValue)
	if !ok {
		return v.String() == ""
	}
	for _, text := range list.GetSlice() {
		if text == "" {
			return true
		}
	}
	return len(list.GetSlice()) == 0 // --policy '' is a list of nothing
}

// dependent is a flag that has no effect without another flag, or together with another one.
type dependent struct{ flag, without, beside string }

// dependents lists the dependent flags of each command. Most flags without an effect on --dry-run
// are missing here, because --dry-run checks the command line of a real run.
var dependents = map[string][]dependent{
	"run":   {{flag: "max-retry-after", without: "delay-from"}},
	"batch": {{flag: "probe", beside: "dry-run"}},
	"proxy": {{flag: "token-env", beside: "token"}},
}

func withoutEffect(c *cobra.Command, args []string) (err error) {
	set := c.Flags().Changed
	for _, d := range dependents[c.Name()] {
		switch {
		case !set(d.flag):
		case d.without != "" && !set(d.without):
			return fmt.Errorf("--%s has no effect without --%s", d.flag, d.without)
		case d.beside != "" && set(d.beside):
			return fmt.Errorf("--%s has no effect together with --%s: want one of them", d.flag,
				d.beside)
		}
	}
	schema, _ := c.Flags().GetBool("schema") // false for a command that has none
	list := c.Name() == "sim" && len(args) == 0
	if schema && len(args) > 0 {
		return fmt.Errorf("%s has no effect together with --schema: want one of them",
			shown(args[0]))
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case err != nil || f.Name == "schema":
		case schema:
			err = fmt.Errorf("--%s has no effect together with --schema: want one of them", f.Name)
		case list:
			err = fmt.Errorf("--%s has no effect without a scenario: want rebound sim outage --%s …",
				f.Name, f.Name)
		}
	})
	return err
}
