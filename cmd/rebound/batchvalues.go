package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/http/httpguts"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/regular"
)

// parseHost reads a URL of a host, with or without a path.
func parseHost(flag, text string) (*url.URL, error) {
	if strings.ContainsAny(text, "@?") {
		return nil, fmt.Errorf("--%s: want a URL without a user or a query; put credentials in --header",
			flag)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.Fragment != "" {
		return nil, fmt.Errorf("--%s %q: want a URL such as https://api.example.com", flag, text)
	}
	return u, nil
}

// parseFailures reads a number of rows or a percentage.
func parseFailures(text string) (batch.Failures, error) {
	share, isShare := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(share, 64)
	switch {
	case err != nil || !(n > 0) || isShare && n > 100 || !isShare && n != float64(int(n)):
		return batch.Failures{}, fmt.Errorf("%q: want a number such as 100, or a share such as 5%%",
			text)
	case isShare:
		return batch.Failures{Share: n / 100}, nil
	}
	return batch.Failures{Number: int(n)}, nil
}

// readHeaders reads headers. $NAME stands for an environment variable, and @file for the content of
// a file. hidden has these values and other credentials.
func readHeaders(list []string) (h http.Header, hidden []string, err error) {
	h = http.Header{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return nil, nil, errors.New("--header: want a name and a value, such as " +
				"'Authorization: Bearer $KEY'")
		}
		expanded, used, err := expandHeader(value)
		if err == nil && !httpguts.ValidHeaderFieldValue(expanded) {
			err = errors.New("the value has a character that is not allowed in headers")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("--header %s: %w", name, err)
		}
		h.Add(name, expanded)
		hidden = append(hidden, used...)
		if secrets.IsName(name) || expanded != value {
			hidden = append(hidden, secrets.InHeader(expanded)...)
		}
	}
	return h, hidden, nil
}

// maxHeader bounds the file of a header, in bytes.
const maxHeader = 1 << 20

// expandHeader replaces @file or each $NAME in a value. used has the values of the variables.
func expandHeader(value string) (expanded string, used []string, err error) {
	if path, is := strings.CutPrefix(value, "@"); is {
		data, err := regular.Read(path, maxHeader)
		return strings.TrimSpace(string(data)), nil, err
	}
	expanded = os.Expand(value, func(key string) string {
		v := os.Getenv(key)
		if v == "" {
			err = fmt.Errorf("$%s is not set", key)
		}
		used = append(used, v)
		return v
	})
	return expanded, used, err
}

// goesOn returns the arguments of the command that continues a batch, from the args of this one. It
// drops --probe, which would end the run early, and --retry, because its rows are already pending.
// In place of standard input it names the copy.
func goesOn(flags *pflag.FlagSet, args []string, spool string) (rest []string) {
	for i := 0; i < len(args); i++ {
		n := 1 // arguments that the flag takes up
		name, _, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		dashes := len(args[i]) - len(strings.TrimLeft(args[i], "-"))
		var f *pflag.Flag
		switch {
		case args[i] == "-":
			rest = append(rest, spool)
			continue
		case args[i] == "--":
			flags = &pflag.FlagSet{} // no flags follow
		case dashes == 2:
			f = flags.Lookup(name)
		case dashes == 1 && len(name) == 1:
			f = flags.ShorthandLookup(name)
		}
		if f != nil && !joined && f.NoOptDefVal == "" {
			n = min(2, len(args)-i)
		}
		if f == nil || f.Name != "probe" && f.Name != "retry" {
			rest = append(rest, args[i:i+n]...)
		}
		i += n - 1
	}
	return rest
}

// hide returns the arguments with the values redacted.
func hide(args, values []string) (clean []string) {
	hidden := secrets.Set{}.With(values...)
	for _, a := range args {
		clean = append(clean, string(hidden.Redact([]byte(a))))
	}
	return clean
}

// shellWords quotes the arguments that a shell would change.
func shellWords(args []string) (words []string) {
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$`\\|&;<>()*?[]#~!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return words
}
