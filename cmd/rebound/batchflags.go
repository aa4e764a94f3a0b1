package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// parseHost reads a URL that names a host and perhaps a path.
func parseHost(flag, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--%s %q: want a URL such as https://api.example.com", flag, text)
	}
	return u, nil
}

// parseFailures reads a number of rows, or a share of them.
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

// readHeaders reads headers. $NAME stands for an environment variable, and @file for a file: these
// values are secrets.
func readHeaders(list []string) (h http.Header, secrets []string, err error) {
	h = http.Header{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, nil, fmt.Errorf("--header %q: want a name and a value, such as "+
				"'Authorization: Bearer $KEY'", text)
		}
		var missing error
		expanded := os.Expand(value, func(key string) string {
			v, is := os.LookupEnv(key)
			if !is || v == "" {
				missing = fmt.Errorf("--header %s: $%s is not set", name, key)
			}
			secrets = append(secrets, v)
			return v
		})
		if path, is := strings.CutPrefix(value, "@"); is {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, nil, fmt.Errorf("--header %s: %w", name, err)
			}
			expanded = strings.TrimSpace(string(data))
		}
		if missing != nil {
			return nil, nil, missing
		}
		h.Add(name, expanded)
		if !isSecret(name) && expanded == value {
			continue
		}
		secrets = append(secrets, expanded)
		if _, token, ok := strings.Cut(expanded, " "); ok {
			secrets = append(secrets, token)
		}
	}
	return h, secrets, nil
}

// isSecret reports whether a header of that name has a credential, even if it was written out.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"auth", "key", "token", "secret", "cookie", "password"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// shellWords quotes arguments for a shell where they need it.
func shellWords(args []string) (words []string) {
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$`\\|&;<>()*?[]#~!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return words
}
