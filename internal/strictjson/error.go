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

// Error is what is wrong with a file, and where. Its text has this form:
//
//	policies.json:7: policies.ocr.backoff.bse: there is no such field: did you mean "base"?
type Error struct {
	File  string // the file's name; empty = the field is from no file
	Line  int    // counted from 1
	Field string // path of the field, such as policies.ocr.backoff.base; empty = the whole file
	Err   error  // what is wrong, and what would be right

	// from is the start of the text if the field is not from a file.
	from string
	text string // that of Err without the field, if it names that; empty = all of it
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
	kind  reflect.Type   // of the value that they are the fields of
	given []given        // after the file was read
}

// given is a field that was set outside the file, for example by a flag.
type given struct{ path, source string }

// FieldsOf returns the fields of what v points to, for a value that does not come from a file.
func FieldsOf(v any) *Fields {
	return &Fields{lines: map[string]int{}, kind: reflect.TypeOf(v)}
}

// Clone returns a copy that shares nothing with f.
func (f *Fields) Clone() *Fields {
	c := *f
	c.lines, c.given = maps.Clone(f.lines), slices.Clone(f.given)
	return &c
}

// Elsewhere returns the fields of a value that is not in the file of f. Fields that were set since
// are kept.
func (f *Fields) Elsewhere() *Fields { return &Fields{kind: f.kind, given: f.given} }

// Give records that source has set the field at path since, for example "--set server.workers".
// Errors about the field then name source instead of the file and the line.
func (f *Fields) Give(path, source string) { f.given = append(f.given, given{path, source}) }

// Given returns the source that has set the field at path since the file was read, or "".
func (f *Fields) Given(path string) string {
	for _, g := range f.given {
		if g.path == path {
			return g.source
		}
	}
	return ""
}

// Inherit places errors about fields that the file leaves out at the field at path, from which
// their values come.
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
	// Err stays as it is, for errors.Is. Only the printed text changes.
	e := &Error{Err: err, text: err.Error()}
	// A package may wrap the error of another one about a field of that one. Each leads one level
	// deeper.
	for !strings.HasPrefix(e.text, "is ") {
		m := goField.FindStringSubmatch(e.text)
		if m == nil {
			break
		}
		names := strings.Split(m[2], ".")
		e.text = e.text[len(m[0]):]
		if m[3] == " is " {
			e.text = "is " + e.text
			// A single name is a field's, as no type is 0s or 5.
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

// place records where the field of e comes from. A field that is not set comes from where the
// closest field around it does.
func (f *Fields) place(e *Error) {
	for place := e.Field; ; {
		// The last setting counts, and so does one inside the field at place.
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

// quotedOrName is a part of a text in quotes, or a name. Retry-After is not a Go name.
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
// type, which no file has.
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

// short cuts a text, which may be long, for a message of one line.
func short(text string) string {
	// 80 characters fit a line of a terminal together with the place.
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// Key is the part of a path that stands for the key of a map. It is in quotes if it could be taken
// for several parts.
func Key(name string) string {
	if name == "" || strings.ContainsAny(name, `.[]"`) || unprintable(name) {
		return strconv.Quote(name)
	}
	return name
}

// snake is a Go name in the form that files use: MaxElapsed is max_elapsed.
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

// unprintable reports whether a name has characters that an error in a terminal must not print as
// they are.
func unprintable(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
