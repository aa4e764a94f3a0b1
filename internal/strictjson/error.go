package strictjson

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Error is a mistake in a file, and its place. Its text has this form:
//
//	policies.json:7: policies.ocr.backoff.bse: there is no such field: did you mean "base"?
type Error struct {
	File  string // the file's name; empty = the value is not from a file
	Line  int    // counted from 1
	Field string // path of the field, such as policies.ocr.backoff.base; empty = the whole file
	Err   error  // what is wrong, and what would be right

	// from is the start of the text if the field is not from a file.
	from string
	text string // the text of Err without the name of the field; empty = all of it
}

func (e *Error) Error() string {
	where, text := fmt.Sprintf("%s:%d: ", e.File, e.Line), e.text
	if e.File == "" {
		where = e.from
	}
	switch {
	case text == "":
		text = e.Err.Error()
	// "clients.rate is -10", as one sentence.
	case strings.HasPrefix(text, "is ") && e.Field != "":
		return where + short(e.Field) + " " + text
	}
	if e.Field != "" {
		where += short(e.Field) + ": "
	}
	return where + text
}

// Unwrap returns Err, so that errors.Is and errors.As find the value's own error.
func (e *Error) Unwrap() error { return e.Err }

// Fields records where the fields of a decoded file come from.
type Fields struct {
	file  string
	lines map[string]int // by path
	kind  reflect.Type   // of the decoded value
	given []given        // set after the file was read
}

// given is a field that was set outside the file, for example by a flag.
type given struct{ path, source string }

// FieldsOf returns the fields of a value that does not come from a file. v points to it.
func FieldsOf(v any) *Fields {
	return &Fields{lines: map[string]int{}, kind: reflect.TypeOf(v)}
}

// Clone returns a copy that shares nothing with f, so that each variant of a file can record its
// own changes.
func (f *Fields) Clone() *Fields {
	c := *f
	c.lines, c.given = maps.Clone(f.lines), slices.Clone(f.given)
	return &c
}

// Elsewhere returns the fields of a value that is not in the file of f. It keeps what Give has
// recorded.
func (f *Fields) Elsewhere() *Fields { return &Fields{kind: f.kind, given: f.given} }

// Give records that source, for example "--set server.workers", has set the field at path after the
// file was read. Errors about the field then name source instead of the file and the line.
func (f *Fields) Give(path, source string) { f.given = append(f.given, given{path, source}) }

// Given returns the source that Give has recorded for the field at path, or "".
func (f *Fields) Given(path string) string {
	for _, g := range f.given {
		if g.path == path {
			return g.source
		}
	}
	return ""
}

// Inherit places errors about fields that the file leaves out at the field at path. That field is
// where their values come from.
func (f *Fields) Inherit(path string) { f.lines[""] = f.lines[path] }

// goField matches the start of errors of Go packages about a field, such as "sim: Scenario.Rate
// is". Some packages add a name or a type: "breaker payments: SlowAfter is", "limit.Rate pages: N
// is". The groups are the type, the names of the fields, and what follows them.
var goField = regexp.MustCompile(`^(?:[a-z]+(?:\.([A-Z]\w*))?(?: \S+)?: )?` +
	`([A-Z]\w*(?:\[\d+\])?(?:\.[A-Z]\w*(?:\[\d+\])?)*)(: | is )`)

// Has reports whether the file has a field at path.
func (f *Fields) Has(path string) bool { return f.lines[path] != 0 }

// Blame turns err, an error about the value at path, into an [*Error] with a line. If its text
// begins with a Go field ("Policy.Backoff: backoff: Exponential.Base is 5m"), it is placed at that
// field, with the name that the file uses ("backoff.base is 5m"). Blame of nil is nil.
func (f *Fields) Blame(path string, err error) error {
	if err == nil {
		return nil
	}
	// Err stays as it is, for errors.Is. Only the printed text gets the names that the file uses.
	e := &Error{Err: err, text: err.Error()}
	// An error about a field may wrap an error about a field inside it, and so on.
	for !strings.HasPrefix(e.text, "is ") {
		m := goField.FindStringSubmatch(e.text)
		if m == nil {
			break
		}
		names := strings.Split(m[2], ".")
		e.text = e.text[len(m[0]):]
		if m[3] == " is " {
			e.text = "is " + e.text
			// A single name before " is " is that of a field: a type has no value.
			if len(names) == 1 {
				names = []string{m[1], names[0]}
			}
		}
		path = f.deeper(path, names)
	}
	e.text = f.translate(e.text)
	e.Field = path
	f.place(e)
	return e
}

// place records where the field of e comes from. If the field is not set, that is the place of the
// closest field around it.
func (f *Fields) place(e *Error) {
	for place := e.Field; ; {
		// The last of several settings counts. One inside the field at place counts, too.
		for _, g := range slices.Backward(f.given) {
			if rest, ok := strings.CutPrefix(g.path, place); ok &&
				(place == "" || rest == "" || rest[0] == '.' || rest[0] == '[') {
				e.from = g.source + ": "
				begin, ok := strings.CutSuffix(g.source, g.path)
				if ok && rest == "" && place == e.Field {
					e.from = begin
				}
				return
			}
		}
		if line := f.lines[place]; line > 0 || place == "" {
			e.File, e.Line = f.file, max(line, 1)
			return
		}
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
}

// quotedOrName matches a quoted part of a text, or a name. The hyphen keeps Retry-After whole.
var quotedOrName = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|` +
	`[\w-]+(?:\[\d+\])?(?:\.[A-Z]\w*(?:\[\d+\])?)*`)

// translate returns a text in which fields have the names that the file uses, such as max_elapsed
// for MaxElapsed.
func (f *Fields) translate(text string) string {
	known := map[string]bool{}
	collect(known, map[reflect.Type]bool{}, f.kind)
	return quotedOrName.ReplaceAllStringFunc(text, func(part string) string {
		var names []string
		for name := range strings.SplitSeq(part, ".") {
			// A part with one unknown name stays as it is: it may be any word of the text.
			field, _, _ := strings.Cut(name, "[")
			if name[0] < 'A' || name[0] > 'Z' || !known[snake(field)] {
				return part
			}
			names = append(names, snake(name))
		}
		return strings.Join(names, ".")
	})
}

// deeper returns the path of a Go field inside the value at path. The first name may be that of a
// type, which is not part of paths in files.
func (f *Fields) deeper(path string, names []string) string {
	for i, name := range names {
		if child := join(path, snake(name)); i > 0 || f.lines[child] != 0 {
			path = child
		}
	}
	return path
}

// join makes the path of a field inside the value at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// short cuts a long text, for a message of one line.
func short(text string) string {
	// 80 characters fit a line of a terminal together with the place.
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// Key returns the part of a path that stands for the key of a map. The key is quoted if it could be
// read as several parts.
func Key(name string) string {
	if name == "" || strings.ContainsAny(name, `.[]"`) || unprintable(name) {
		return strconv.Quote(name)
	}
	return name
}

// snake returns a Go name in the form that files use: MaxElapsed becomes max_elapsed.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// unprintable reports whether a name has characters that a terminal acts on, such as escape
// sequences or a change of direction.
func unprintable(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
