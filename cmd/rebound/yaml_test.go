package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestYAMLToJSON(t *testing.T) {
	for _, row := range []struct{ yaml, want string }{
		{"a: 1\nb: two\n", "{\"a\":1,\n\"b\":\"two\"}"},
		{"# c\n\na:\n  - 1.5 # d\n  - true\n", "\n\n{\"a\":\n[1.5,\ntrue]}"},
		{"a: {b: [x, 'y']}\n", `{"a":{"b":["x","y"]}}`},
		{"a: |\n  one\n  two\nb:\n", "{\"a\":\"one\\ntwo\\n\",\n\n\n\"b\":null}"},
		{"a: &x {b: 1}\nc: *x\n", "{\"a\":{\"b\":1},\n\"c\":{\"b\":1}}"},
		{"a: &x\n  b: 1\n  c: 2\nd:\n  b: 3\n  <<: *x\n", "{\"a\":\n{\"b\":1,\n\"c\":2},\n" +
			"\"d\":\n{\"b\":3\n,\"c\":2}}"},
		{"j: 0.5..1.5\nt: 1m30s\ns: \"5\"\n", "{\"j\":\"0.5..1.5\",\n\"t\":\"1m30s\",\n\"s\":\"5\"}"},
		{"a: 1e3\nb: \"1e3\"\nc: 1e3x\n", "{\"a\":1e3,\n\"b\":\"1e3\",\n\"c\":\"1e3x\"}"},
		{"", ""},
	} {
		got, err := yamlToJSON("f", []byte(row.yaml))
		if err != nil || string(got) != row.want {
			t.Errorf("%q: got %q, %v, want %q", row.yaml, got, err, row.want)
		}
	}
}

func TestYAMLMistakes(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		item := fmt.Sprintf("*a%d", i-1)
		items := strings.TrimSuffix(strings.Repeat(item+", ", 10), ", ")
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, items)
	}
	for _, row := range []struct{ yaml, want string }{
		{"a: *x\n", "f:1: the alias *x has no anchor &x above it"},
		{"a: &x\n  b: *x\n", "f:2: the alias *x has no anchor &x above it"},
		{"a: 1\n---\nb: 2\n", "f:3: a second document begins here: want one in a file"},
		{"a: 1\na: 2\n", "f:2: mapping key \"a\" already defined at [1:1]"},
		{"a:\n  b: !!binary x\n", "f:2: !!binary: want a text"},
		{"a: .inf\n", "f:1: .inf: want a text, a number"},
		{"a: 1\nb: [\n", "f:2: sequence end token"},
		{"a:\n  <<: 5\n", "f:2: << needs an alias, such as *base"},
		{bomb, "with its aliases the file has more than 10 MB"},
	} {
		got, err := yamlToJSON("f", []byte(row.yaml))
		if !strings.Contains(fmt.Sprint(err), row.want) {
			t.Errorf("%.80q: got %.80q, %v, want %s", row.yaml, got, err, row.want)
		}
	}
}

// Whatever the text, the output is JSON, and each value keeps its line.
func FuzzYAMLToJSON(f *testing.F) {
	f.Add("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n")
	f.Add("- 1\n- |\n  text\n- [a, {b: c}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := yamlToJSON("f", []byte(text))
		if err != nil || len(got) == 0 || strings.Contains(text, "\r") { // which ends lines, too
			return
		}
		if !json.Valid(got) {
			t.Errorf("%q: got %q, which is not JSON", text, got)
		}
		if got, most := strings.Count(string(got), "\n"), strings.Count(text, "\n"); got > most {
			t.Errorf("%q: got %d line ends, want at most %d", text, got, most)
		}
	})
}

func TestYAMLKeepsLinesOfValues(t *testing.T) {
	text := "zero:\n\n  two: 2\n  three: [3,\n    4]\n"
	got, err := yamlToJSON("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, l := range strings.Split(string(got), "\n") {
		for _, r := range l {
			if r >= '0' && r <= '9' {
				lines = append(lines, fmt.Sprintf("%c in line %d", r, i))
			}
		}
	}
	want := []string{"2 in line 2", "3 in line 3", "4 in line 4"}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}
