package rows

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// input is an open input of that text, whose rows may name files below dir.
func input(t testing.TB, text, dir string) *Input {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse("https://api.example.com/v1")
	if err != nil {
		t.Fatal(err)
	}
	in := &Input{Name: name, Where: Targets{base, []string{"http://localhost:8080"}}}
	if err := in.Open(nil, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	if in.Files, err = OpenAttachments(dir); err != nil {
		t.Fatal(err)
	}
	in.Name = "in.jsonl"
	return in
}

const good = `{"custom_id":"a","url":"/x","body":{}}`

func TestFaultsOfTheInput(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "in.jsonl has no rows"},
		{"blank lines", "\n \r\n\t\n", "in.jsonl has no rows"},
		{"not JSON", good + "\nxyz\n", "in.jsonl:2: invalid_json_line: want a JSON object"},
		{"a list", "[]\n", ":1: invalid_json_line: want a JSON object"},
		{"half an object", good[:20] + "\n", ":1: invalid_json_line: unexpected end"},
		{"two objects", good + good + "\n", ":1: invalid_json_line: invalid character '{' after"},
		{"Latin-1", strings.Replace(good, "/x", "/caf\xe9", 1), ":1: invalid_json_line: want UTF-8"},
		{"UTF-16", "\xff\xfe{\x00", ":1: invalid_json_line: want"},
		{"a BOM in the middle", good + "\n\ufeff" + good + "\n", ":2: invalid_json_line"},
		{"a BOM, then a fault", "\ufeffxyz\n", ":1: invalid_json_line"},
		{"a fault behind blank lines", "\n\n" + good + "\n\nxyz", ":5: invalid_json_line"},

		{"no id", `{"url":"/x"}`, ":1: missing_custom_id"},
		{"an empty id", `{"custom_id":"","url":"/x"}`, ":1: missing_custom_id"},
		{"null as id", `{"custom_id":null,"url":"/x"}`, ":1: missing_custom_id"},
		{"a number as id", `{"custom_id":7,"url":"/x"}`,
			":1: invalid_field: custom_id: want a string, not number"},
		{"the same id", good + "\n\n" + good + "\n",
			`:3: duplicate_custom_id: "a" is also in line 1`},
		{"the same id, written otherwise", good + "\n" + strings.Replace(good, "a", `\u0061`, 1),
			`:2: duplicate_custom_id: "a" is also in line 1`},

		{"no url", `{"custom_id":"a"}`, ":1: missing_url"},
		{"another case", `{"Custom_ID":"a","url":"/x"}`, `unknown field "Custom_ID": did you mean`},
		{"two ids", `{"custom_id":"a","url":"/x","b":[{"custom_id":"c"}],"custom\u005fid":"b"}`,
			"invalid_field: custom_id occurs twice"},
		{"misspelt", `{"custom_id":"a","url":"/x","boddy":{}}`, `did you mean "body"`},
		{"a method of two words", `{"custom_id":"a","method":"GET /","url":"/x"}`, "invalid_method"},
		{"a tunnel", `{"custom_id":"a","method":"connect","url":"/x"}`, "invalid_method"},
		{"tokens below 0", `{"custom_id":"a","url":"/x","tokens":-1}`, "invalid_tokens"},
		{"half a token", `{"custom_id":"a","url":"/x","tokens":0.5}`,
			"tokens: want a whole number, not number 0.5"},
		{"two bodies", `{"custom_id":"a","url":"/x","body":{},"body_file":"b"}`, "invalid_body"},
		{"headers as a list", `{"custom_id":"a","url":"/x","headers":[]}`,
			"headers: want an object of strings, not array"},
		{"a host as a header", `{"custom_id":"a","url":"/x","headers":{"hOST":"b"}}`,
			"invalid_header"},
		{"a header twice", `{"custom_id":"a","url":"/x","headers":{"X-A":"b","x-a":"c"}}`,
			`header "X-A" occurs twice`},
		{"a header of two lines", `{"custom_id":"a","url":"/x","headers":{"X":"b\r\nY: c"}}`,
			"invalid_header"},
		{"a name of two words", `{"custom_id":"a","url":"/x","headers":{"X Y":"b"}}`,
			"invalid_header"},
		{"a file without --files", `{"custom_id":"a","url":"/x","body_file":"b"}`,
			`invalid_file: "b": want --files DIR`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := input(t, test.text, "").Check(store.Key{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// All faults are listed, a line each, up to a hundred.
func TestAllFaultsAreListed(t *testing.T) {
	text := good + "\nxyz\n" + good + "\n" + `{"custom_id":"b","url":"//evil.com"}` + "\n"
	_, err := input(t, text, "").Check(store.Key{})
	want := "in.jsonl:2: invalid_json_line: want a JSON object\n" +
		"in.jsonl:4: foreign_host: //evil.com is not allowed: want a host of --base or --allow\n" +
		"in.jsonl:3: duplicate_custom_id: \"a\" is also in line 1\n" +
		"nothing was sent"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = input(t, strings.Repeat("x\n", maxFaults+3), "").Check(store.Key{})
	if err == nil || !strings.Contains(err.Error(), "in.jsonl: 3 more errors\nnothing was sent") {
		t.Errorf("got %v, want the number of the others", err)
	}
}

func TestRowsAreReadTwice(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	texts := []string{
		"\ufeff" + `{"custom_id":"a","url":"/x","method":"get","body":null}` + "\r\n",
		"\r\n",
		`  {"custom_id":"b","url":"https://API.example.com:443/y","body":"` + long + `"}  ` + "\n",
		`{"custom_id":"ü","url":"http://LocalHost:8080","note":"the user's own","body":[1.0]}`,
	}
	in := input(t, strings.Join(texts, ""), "")
	survey, err := in.Check(store.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(survey.Hosts) != "map[API.example.com:443:1 LocalHost:8080:1 api.example.com:1]" {
		t.Errorf("got hosts %v", survey.Hosts)
	}
	var seen []string
	err = in.Scan(func(_ int, r Row, err error) error {
		if err != nil {
			return err
		}
		again, err := in.Row(r.At, store.Key{1})
		if err != nil {
			return err
		}
		if again.ID != r.ID || string(again.Body) != string(r.Body) ||
			again.Key.Digest != r.Key.Digest || again.Key.ID != (store.Key{1}).Hash(r.ID) {
			t.Errorf("%s is another row when it is read again", r.ID)
		}
		seen = append(seen, fmt.Sprintf("%s %s %s %d", r.ID, r.Method, r.Target, len(r.Body)))
		return nil
	})
	want := fmt.Sprintf("[a GET https://api.example.com/v1/x 0 "+
		"b POST https://API.example.com:443/y %d ü POST http://LocalHost:8080 5]", len(long)+2)
	if got := fmt.Sprint(seen); got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// A line that is too long is an error, and takes little memory.
func TestLongLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 70<<20); err != nil {
		t.Fatal(err)
	}
	in := &Input{Name: "in"}
	var err error
	if in.file, err = os.Open(name); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, err = in.Check(store.Key{})
	if err == nil || err.Error() != "in:1: the line is longer than 64 MiB" {
		t.Errorf("got %v", err)
	}
}

// An input that is changed while its rows are sent ends the batch.
func TestChangedInput(t *testing.T) {
	in := input(t, good+"\n", "")
	if _, err := in.Check(store.Key{}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Row(0, store.Key{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(in.file.Name(), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Row(0, store.Key{}); !errors.Is(err, ErrChanged) {
		t.Errorf("Row returned %v", err)
	}
	err := in.Scan(func(int, Row, error) error { return nil })
	if !errors.Is(err, ErrChanged) {
		t.Errorf("Scan returned %v", err)
	}
}

func TestOpenInput(t *testing.T) {
	dir := t.TempDir()
	in := Input{Name: dir}
	if err := in.Open(nil, ""); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v for a directory", err)
	}
	in = Input{Name: filepath.Join(dir, "missing")}
	if err := in.Open(nil, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for no file", err)
	}
	in = Input{Name: "-", Where: Targets{Base: &url.URL{Scheme: "http", Host: "h"}}}
	for _, text := range []string{good + "\n" + good, good} { // a shorter one later
		if err := in.Open(strings.NewReader(text), filepath.Join(dir, "spool")); err != nil {
			t.Fatal(err)
		}
		defer in.Close()
	}
	if s, err := in.Check(store.Key{}); err != nil || s.Table.Len() != 1 {
		t.Errorf("got %d rows, %v, want 1", s.Table.Len(), err)
	}
}

func TestScanBut(t *testing.T) {
	in := input(t, strings.Join([]string{
		`{"custom_id":"a","url":"/x"}`, `{"custom_id": "b","url":"/x"}`,
		`{"url":"/x","custom_id":"c"}`, `{"custom_id":"\u0064","url":"/x"}`, "xyz"}, "\n"), "")
	var seen []string
	err := in.ScanBut(func(id string) bool { return id != "b" },
		func(line int, r Row, err error) error {
			seen = append(seen, fmt.Sprint(line, r.ID, err != nil))
			return nil
		})
	if want := "[2bfalse 3cfalse 4dfalse 5true]"; fmt.Sprint(seen) != want || err != nil {
		t.Errorf("got %v, %v, want %s", seen, err, want)
	}
}
