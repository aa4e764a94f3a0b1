package batch

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const key, short, inQuery = `sk-"a/b<c>&ü\12345`, `sk-"a/b`, "query/key+789"

var basic = base64.StdEncoding.EncodeToString([]byte("me:pass/word"))

// echo is the error that a server sends for a row: it repeats a key in some form.
func echo(id string) string {
	quoted, _ := json.Marshal(key)
	switch id {
	case "r1": // plain, and escaped as Go does
		return fmt.Sprintf(`{"error":{"message":%s,"code":%s}}`, quoted, quoted)
	case "r2": // escaped as PHP does
		return fmt.Sprintf(`{"error":{"message":%s}}`, strings.ReplaceAll(string(quoted), "/", `\/`))
	case "r3": // JSON in JSON
		inner, _ := json.Marshal(map[string]string{"got": key, "short": short})
		outer, _ := json.Marshal(string(inner))
		return fmt.Sprintf(`{"error":{"message":%s}}`, outer)
	case "r4": // escaped character by character
		var text strings.Builder
		for _, c := range key {
			fmt.Fprintf(&text, `\u%04x`, c)
		}
		return fmt.Sprintf(`{"error":"%s"}`, &text)
	case "r5":
		return "no JSON: " + key + " " + url.QueryEscape(key) + " " + basic + " me:pass/word"
	case "r6":
		return `{"error":{"message":"unknown key ` + inQuery + `"}}`
	}
	return `{"error":{"message":"/x?key=` + url.QueryEscape(inQuery) + `"}}`
}

// No written text contains a key, although servers repeat keys in many forms.
func TestKeysAreNowhere(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, req *http.Request, id string, _ int) {
		if id == "r8" {
			cutConnection()
		}
		w.Header().Set("X-Request-Id", req.Header.Get("Authorization"))
		w.WriteHeader(400)
		fmt.Fprint(w, echo(id))
	})
	b.o.Header = http.Header{"Authorization": {"Bearer " + key}}
	b.o.Secret = []string{short, key, "Bearer " + key, basic, "me:pass/word", "pass/word"}
	b.o.Report = filepath.Join(b.dir, "report.json")
	b.rows(8, "/v1/x?key="+url.QueryEscape(inQuery), "")
	s := b.run(exitFailed)
	if err := s.WriteJSON(b.o.Report); err != nil {
		t.Fatal(err)
	}
	var screen strings.Builder
	if err := s.Write(&screen); err != nil {
		t.Fatal(err)
	}
	written := map[string]string{"stderr": screen.String()}
	_ = filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, _ error) error {
		if !d.IsDir() && path != b.o.Input {
			data, _ := os.ReadFile(path)
			written[filepath.Base(path)] = string(data)
		}
		return nil
	})
	if len(written) != 5 {
		t.Errorf("%d texts, want 5", len(written))
	}
	for name, text := range written {
		for _, part := range []string{
			`\12345`, "ü", `\u00fc`, "sk-", `sk-\`, "a/b", `a\/b`, `\u0073\u006b`, "pass/word", basic,
			"+789", "%2B789", "query",
		} {
			if at := strings.Index(text, part); at >= 0 {
				t.Errorf("%s has %q: %s", name, part, text[max(0, at-60):min(len(text), at+60)])
			}
		}
	}
}

// A secret that is a common text leaves the lines valid.
func TestRedactedLinesAreValid(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		w.WriteHeader(400)
		fmt.Fprint(w, `{"error":{"message":"4711 is wrong","n":4711,"true":true}}`)
	})
	b.o.Secret = []string{"", "a", "4711", "true"}
	b.rows(1, generation, "")
	b.run(exitFailed)
	if l := b.lines(".errors")["r1"]; strings.Contains(string(l.Response.Body), "4711") {
		t.Errorf("%s", l.Response.Body)
	}
}
