package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version, and the revision of the source if the build recorded it.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printVersion(c)
		},
	}
}

func printVersion(c *cobra.Command) error {
	_, err := fmt.Fprintln(c.OutOrStdout(), "rebound", version())
	return err
}

// version returns the version that the build recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown version)"
	}
	return versionOf(info) + fmt.Sprintf(", %s %s/%s", info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// versionOf returns the version of the module, and the revision that it was built from.
func versionOf(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	text := info.Main.Version
	if text == "" {
		text = "(devel)"
	}
	if revision := set["vcs.revision"]; revision != "" {
		text += ", revision " + revision[:min(len(revision), 12)]
	}
	if set["vcs.modified"] == "true" {
		text += ", modified"
	}
	return text
}
