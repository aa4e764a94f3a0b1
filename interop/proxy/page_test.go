package proxy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The examples of docs/proxy.md, run by the proxy, get none of the faults.
func TestExamplesOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		language, name string
		ready          func(t *testing.T) (dir string)
		program        string
		answers        []answer
		want           string
	}{
		{"python", "night.py", func(t *testing.T) string {
			need(t, python, "-c", "import requests")
			return t.TempDir()
		}, python, []answer{openaiAPI.busy, reset, json(200, openaiAPI.whole)},
			"Hello!\nattempts: 3\n"},
		{"js", "example.mjs", node, "node", []answer{openaiAPI.busy,
			stream(openaiAPI.events[0], openaiAPI.crowd), stream(openaiAPI.events...)}, "Hello!"},
	} {
		t.Run(row.language, func(t *testing.T) {
			code := regexp.MustCompile("(?ms)^```" + row.language + "\n(.*?)^```$").FindSubmatch(page)
			if code == nil {
				t.Fatal("no example")
			}
			file := filepath.Join(row.ready(t), row.name)
			if err := os.WriteFile(file, code[1], 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := command()
			if err != nil {
				t.Fatal(err)
			}
			api := serve(t, row.answers...)
			c := exec.CommandContext(t.Context(), path, "proxy", "--listen", "127.0.0.1:0", "--to",
				api.URL, "--policy", writePolicies(t), "--", row.program, file)
			c.Env = append(os.Environ(), "OPENAI_API_KEY=sk-secret")
			c.Stderr = os.Stderr
			out, err := c.Output()
			if err != nil || string(out) != row.want || int(api.requests.Load()) != 3 {
				t.Errorf("got %q, %v, %d requests; want %q and 3", out, err, api.requests.Load(), row.want)
			}
		})
	}
}
