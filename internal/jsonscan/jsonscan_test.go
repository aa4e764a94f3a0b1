package jsonscan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var texts = []string{
	`{}`, `[]`, ` { "a" : 1 , "b":[ true,false , null ] } `, `{"a":{"b":"c"},"a":2}`, `""`, `"a"`,
	`"twelve bytes and more"`, `"\u00e9\n\"\\\/\b\f\r\t"`, `"\u12"`, `"\x"`, `"a` + "\n" + `"`,
	`"12345678` + "\x1f" + `"`, `"1234567é"`, `"` + "\xff" + `"`, `-0`, `01`, `1.`, `.5`, `-`, `1e`,
	`1E+9`, `-1.25e-7`, `tru`, `true1`, `nul`, `{,}`, `[1,]`, `{"a"}`, `{"a":}`, `{a:1}`, `[1 2]`,
	`{"a":1]`, `[`, `{"a":1`, `"`, `"\`, ``, ` `, `{}{}`, "{}\n[]\n", `1 2`, `{"\u0061b":1}`, `"a\"`,
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) +
		strings.Repeat("]", maxDepth+1), "\ufeff{}", `[1,2,"x",{"y":[]}]`, "{\"a\":\"\x7f\x80\"}",
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range texts {
		agree(t, []byte(text))
	}
}

// What ends a string, and what is invalid in it, is found at each place in a word of eight bytes.
func TestEachPlaceInAString(t *testing.T) {
	for at := range 20 {
		for length := at; length < 28; length++ {
			for c := range 256 {
				text := []byte(`"` + strings.Repeat("x", length) + `", 1`)
				text[1+at] = byte(c)
				agree(t, text)
				agree(t, text[:length+2])
				agree(t, text[:length+1])
			}
		}
	}
}

func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, text) })
}

// agree compares all functions with encoding/json for a text.
func agree(t *testing.T, text []byte) {
	t.Helper()
	if got, want := Valid(text), json.Valid(text); got != want {
		t.Errorf("%.99q: valid is %v, want %v", text, got, want)
	}
	var v json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&v)
	first, rest, ok := First(text)
	// If a text is not a value, encoding/json looks at the next byte, too.
	if err == nil && (!ok || !bytes.Equal(first, v) || len(rest) != len(text)-int(dec.InputOffset())) {
		t.Errorf("%.99q: the first value is %.99q, %v, want %q", text, first, ok, v)
	}
	if ok && !json.Valid(first) {
		t.Errorf("%.99q: the first value is %.99q", text, first)
	}
	var object map[string]json.RawMessage
	err = json.Unmarshal(text, &object)
	fields := map[string]json.RawMessage{}
	ok = Fields(text, func(name, value []byte) {
		fields[strings.ToValidUTF8(string(name), "\ufffd")] = value
	})
	if ok != (err == nil && object != nil) {
		t.Errorf("%.99q: an object is %v, want %v", text, ok, err)
	}
	for name, value := range object {
		if ok && len(fields) == len(object) && !bytes.Equal(fields[name], value) {
			t.Errorf("%.99q: %q is %q, want %q", text, name, fields[name], value)
		}
	}
	var array []json.RawMessage
	err = json.Unmarshal(text, &array)
	var elements [][]byte
	ok = Elements(text, func(value []byte) { elements = append(elements, value) })
	if ok != (err == nil && array != nil) {
		t.Errorf("%.99q: an array is %v, want %v", text, ok, err)
	}
	if ok && !bytes.Equal(bytes.Join(elements, nil), join(array)) {
		t.Errorf("%.99q: the elements are %q", text, elements)
	}
	var s *string
	err = json.Unmarshal(text, &s)
	if got, ok := Text(bytes.TrimSpace(text)); json.Valid(text) &&
		(ok != (err == nil && s != nil) || ok && got != *s) {
		t.Errorf("%.99q: the text is %q, %v", text, got, ok)
	}
}

func join(list []json.RawMessage) (all []byte) {
	for _, v := range list {
		all = append(all, v...)
	}
	return all
}

func TestFieldsBeforeAFault(t *testing.T) {
	var names []string
	ok := Fields([]byte(`{"a":1,"b":{"c":2},"d":x}`), func(name, _ []byte) {
		names = append(names, string(name))
	})
	if got := strings.Join(names, " "); ok || got != "a b" {
		t.Errorf("got %q, %v", got, ok)
	}
}

func BenchmarkValid(b *testing.B) {
	text := []byte(`{"custom_id":"row-1","url":"/v1/chat/completions","body":{"model":"m",` +
		`"max_tokens":100,"messages":[{"role":"user","content":"` +
		strings.Repeat("What is in this receipt, please? ", 6) + `"}]}}`)
	for _, of := range []struct {
		name  string
		valid func([]byte) bool
	}{{"jsonscan", Valid}, {"encoding_json", json.Valid}} {
		b.Run(of.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				of.valid(text)
			}
		})
	}
}
