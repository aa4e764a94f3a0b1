package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

// events feeds a parser with a stream in pieces of the size given, 0 = at once.
func events(p *parser, stream []byte, size int) (all []Event) {
	got := func(e Event) { all = append(all, e) }
	if size == 0 {
		size = max(1, len(stream))
	}
	for piece := range slices.Chunk(stream, size) {
		p.feed(piece, got)
	}
	return all
}

func TestParser(t *testing.T) {
	for _, row := range []struct {
		name, stream string
		want         string
	}{
		{"one", "data: x\n\n", `[{"" "" "x"}]`},
		{"no space", "data:x\n\n", `[{"" "" "x"}]`},
		{"one space goes", "data:  x \n\n", `[{"" "" " x "}]`},
		{"lines", "data: x\ndata\ndata: y\n\n", `[{"" "" "x\n\ny"}]`},
		{"all fields", "event: e\nid: 7\nretry: 10\nother: z\ndata: x\n\n", `[{"e" "7" "x"}]`},
		{"colons", "data: a: b\n\n", `[{"" "" "a: b"}]`},
		{"comments", ": ping\n\ndata: x\n: ping\ndata: y\n\n", `[{"" "" "x\ny"}]`},
		{"no data, no event", "event: e\n\ndata: x\n\n", `[{"" "" "x"}]`},
		{"empty data", "data\n\ndata:\n\n", `[{"" "" ""} {"" "" ""}]`},
		{"not at its end", "data: x\n", `[]`},
		{"carriage returns", "data: x\r\rdata: y\r\n\r\ndata: z\n\r\n", `[{"" "" "x"} {"" "" "y"} ` +
			`{"" "" "z"}]`},
		{"byte order mark", "\ufeffdata: x\n\n\ufeffdata: y\n\n", `[{"" "" "x"}]`},
		{"no stream", "<html>\n\n</html>\n\n", `[]`},
		{"an error field", "error: x\n\n", `[{"error" "" "x"}]`},
		{"bare JSON", "{\"a\": 1}\n", `[{"" "" "{\"a\": 1}"}]`},
		{"bare JSON, twice", "{\"a\": 1}\n{}\n\n", `[{"" "" "{\"a\": 1}"} {"" "" "{}"}]`},
		{"bare JSON before data", "{}\ndata: x\n\n", `[{"" "" "{}"} {"" "" "x"}]`},
		{"bare JSON in lines", "{\n \"a\": {\n }\n}\n", `[{"" "" "{\n \"a\": {\n }\n}"}]`},
		{"bare JSON cut", "{\"a\":\ndata: x\n\n", `[{"" "" "x"}]`},
		{"bare JSON cut by nothing", "{\"a\":\n\n", `[{"" "" "{\"a\":"}]`},
		{"JSON among data", "data: x\n{}\n\n", `[{"" "" "x"}]`},
	} {
		for size := range 5 {
			got := fmt.Sprintf("%q", texts(events(&parser{}, []byte(row.stream), size)))
			if want := row.want; got != want {
				t.Errorf("%s, in pieces of %d: got %s, want %s", row.name, size, got, want)
			}
		}
	}
}

// text is a printable form of an event.
type text struct{ name, id, data string }

func texts(all []Event) []text {
	out := []text{}
	for _, e := range all {
		out = append(out, text{e.Name, e.ID, string(e.Data)})
	}
	return out
}

// An event that is too long keeps its name, and costs no memory beyond the limit.
func TestParserTooLong(t *testing.T) {
	long := strings.Repeat("x", 50)
	stream := "event: big\ndata: " + long + "\ndata: " + long + "\n\n" + // by its data
		long + "\n\n" + // by what is no field
		"event: small\ndata: y\n\n"
	for size := range 40 {
		p := &parser{limit: 40}
		all := events(p, []byte(stream), size)
		if len(all) != 3 || all[0].Name != "big" || all[0].Data != nil || all[1].Data != nil ||
			all[2].Name != "small" || string(all[2].Data) != "y" {
			t.Errorf("in pieces of %d: got %q", size, all)
		}
		if n := cap(p.line); n > 200 {
			t.Errorf("in pieces of %d: %d bytes are kept", size, n)
		}
	}
	if !IsEnd(Event{}) || !IsOutput(Event{}) {
		t.Error("an event that cannot be read may be output, or the end")
	}
}

// FuzzParser compares the parser, which gets pieces, with one that gets the whole stream.
func FuzzParser(f *testing.F) {
	for _, s := range []string{
		"data: x\n\n", "event: e\r\nid: 1\r\rdata: x\n\n", "\xef\xbb\xbfdata\n\n: c\n\ndata: y",
		"data: [DONE]\n\n", "data: {\"a\": 1}\r\n\r\n", "{\"a\": 1}\n", "{\n}\n{\n: c\n", "error: x\n\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		got := texts(events(&parser{}, stream, 1+max(0, size)%64))
		if want := simple(string(stream)); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		w := &streamReader{output: IsOutput, ended: IsEnd}
		w.parser.feed(stream, w.see) // does not panic
	})
}

// simple is the parser of the HTML standard, section 9.2.6, for a whole stream. It also accepts a
// field called error, and JSON without a field name.
func simple(stream string) []text {
	all := []text{}
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var e text
	var data []string
	bare := false
	dispatch := func() {
		if data != nil {
			e.data = strings.Join(data, "\n")
			all = append(all, e)
		}
		e, data, bare = text{}, nil, false
	}
	for _, line := range lines[:len(lines)-1] { // what follows the last newline is not at its end
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if bare && slices.Contains([]string{"", "event", "id", "data", "retry"}, name) && line != "" {
			data, bare = nil, false
		}
		switch {
		case line == "":
			dispatch()
		case name == "event":
			e.name = value
		case name == "id":
			e.id = value
		case name == "error":
			e.name = "error"
			data = append(data, value)
		case name == "data":
			data = append(data, value)
		case bare || data == nil && line[0] == '{':
			bare = true
			data = append(data, line)
		}
		if bare && strings.HasSuffix(line, "}") && json.Valid([]byte(strings.Join(data, "\n"))) {
			dispatch()
		}
	}
	return all
}

// FuzzBody reads bodies. The status decides unless a body has a known word.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"error": {"code": "insufficient_quota"}}`, `[{"error": {"status": "UNAVAILABLE"}}]`,
		`{"error": {"details": [{"retryDelay": "53s"}, {"violations": [{"quotaId": "PerDay"}]}]}}`,
		`{"error": {"metadata": {"raw": "{}"}}}`, "event: error\ndata: {}", "<html>", "{",
		`{"message": "Limit 30000, Requested 36055. Please try again in 1m2.5s"}`,
		`{"__type": "a#b:c", "status": 1e999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		r := parse(body)
		if !bytes.Equal(body, before) {
			t.Error("the body was changed")
		}
		if len(r.codes) > maxCodes || r.status != 0 && (r.status < 400 || r.status > 599) {
			t.Errorf("got %d words, status %d", len(r.codes), r.status)
		}
		if status := r.guessStatus(); status < 400 || status > 599 {
			t.Errorf("guessed status %d", status)
		}
		if f := r.limited(fault.Fault{}, fault.Fault{}, nil); f.After < 0 {
			t.Errorf("a delay of %v", f.After)
		}
		IsAccount(&StreamError{Event: Event{Data: body}}) // does not panic
		e := &StreamError{Event: Event{Data: body}}
		if g := Classify(e); g.After < 0 || len(e.Error()) > 300 {
			t.Errorf("after %v, %d bytes of text", g.After, len(e.Error()))
		}
	})
}
