package rows

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// attachments is a directory with files, and links that lead out of it and stay inside.
func attachments(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "scans")
	for name, text := range map[string]string{
		"secret": "key", "scans/17.jpg": "\xff\xd8\xff", "scans/deep/a.txt": "hé \"x\" <y>",
		"scans/empty": "", "scans/page": "<html>", "scans/upper.PNG": "png",
	} {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": "../secret", "outdir": "..", "in": "deep/a.txt",
		"absolute": filepath.Join(top, "secret"), "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err) // Windows may not allow it
		}
	}
	return dir
}

func TestFilesOutsideAreRefused(t *testing.T) {
	dir := attachments(t)
	for _, name := range []string{"../secret", "deep/../../secret", "./../secret", "out",
		"outdir/secret", "absolute", filepath.Join(filepath.Dir(dir), "secret"), "loop", "..", "",
		".", "/etc/passwd", "deep", "deep/", "missing", "17.jpg/x", "17.jpg\x00"} {
		quoted, _ := json.Marshal(name)
		for _, row := range []string{
			fmt.Sprintf(`{"custom_id":"a","url":"/x","body":{"a":[1,{"$file":%s}]}}`, quoted),
			fmt.Sprintf(`{"custom_id":"a","url":"/x","body_file":%s}`, quoted),
		} {
			if name == "" && strings.Contains(row, "body_file") {
				continue // the same as none
			}
			_, err := input(t, row, dir).Check(store.Key{})
			if err == nil || !strings.Contains(err.Error(), "in.jsonl:1: invalid_file: ") {
				t.Errorf("%s: got %v", row, err)
			}
			if err != nil && strings.Contains(err.Error(), dir+"/"+name) {
				t.Errorf("%v names the path twice", err)
			}
		}
	}
}

func TestBodies(t *testing.T) {
	dir := attachments(t)
	for _, test := range []struct{ row, want string }{
		{`"body":{"b":1.50,"a":"<x>"}`, `{"b":1.50,"a":"<x>"}`},
		{`"body":null`, ``},
		{`"method":"GET"`, ``},
		{`"body_file":"17.jpg"`, "\xff\xd8\xff"},
		{`"body_file":"in"`, `hé "x" <y>`},
		{`"body":{"$file":"17.jpg"}`, `"data:image/jpeg;base64,/9j/"`},
		{`"body":{"$file":"17.jpg","as":"data_url"}`, `"data:image/jpeg;base64,/9j/"`},
		{`"body":{"$file":"upper.PNG"}`, `"data:image/png;base64,cG5n"`},
		{`"body":{"$file":"page"}`, `"data:text/html;charset=utf-8;base64,PGh0bWw+"`},
		{`"body":{"$file":"17.jpg","as":"base64"}`, `"/9j/"`},
		{`"body":{"$file":"empty","as":"base64"}`, `""`},
		{`"body":{"$file":"deep/a.txt","as":"text"}`, `"hé \"x\" \u003cy\u003e"`},
		{`"body":{"m":[{"u":{"url":{"$file":"17.jpg","as":"base64"}}}, 1e400, {"x<":null}]}`,
			`{"m":[{"u":{"url":"/9j/"}},1e400,{"x<":null}]}`},
		{`"body":["$file",{"note":"\"$file\""}]`, `["$file",{"note":"\"$file\""}]`},
		{`"body":["$file",[{"$file":"empty","as":"text"}],{},[]]`, `["$file",[""],{},[]]`},

		{`"body":{"$file":"17.jpg","as":"text"}`, `invalid_file: "17.jpg" is not UTF-8 text`},
		{`"body":{"$file":"17.jpg","as":"hex"}`, `invalid_file: "as" is "hex": want data_url`},
		{`"body":{"$file":"17.jpg","to":"hex"}`, `invalid_file: json: unknown field "to"`},
		{`"body":[[{"$file":17}]]`, `invalid_file: json`},
	} {
		in := input(t, `{"custom_id":"a","url":"/x",`+test.row+`}`, dir)
		got := ""
		_, err := in.Check(store.Key{})
		if err == nil {
			var body []byte
			r, errRow := in.Row(0, store.Key{})
			if errRow != nil {
				t.Fatal(errRow)
			}
			body, err = in.Files.Body(r)
			got = string(body)
		}
		if err != nil {
			if !strings.Contains(err.Error(), test.want) || test.want == "" {
				t.Errorf("%s: got %v, want %s", test.row, err, test.want)
			}
			continue
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.row, got, test.want)
		}
	}
}

// A file that is gone since the check is an error of its row.
func TestFileIsGone(t *testing.T) {
	dir := attachments(t)
	in := input(t, `{"custom_id":"a","url":"/x","body_file":"empty"}`, dir)
	if _, err := in.Check(store.Key{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "empty")); err != nil {
		t.Fatal(err)
	}
	r, err := in.Row(0, store.Key{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Files.Body(r); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenAttachments(filepath.Join(dir, "missing")); !os.IsNotExist(err) {
		t.Errorf("got %v for a directory that is missing", err)
	}
}
