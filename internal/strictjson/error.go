package strictjson

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Error is what is wrong with a file, and where. Its text reads
//
//	policies.json:7: policies.ocr.backoff.bse: there is no such field: did you mean "base"?
type Error struct {
	File  string // the file's name
	Line  int    // counted from 1
	Field string // path of the field, such as policies.ocr.backoff.base; empty = the whole file
	Err   error  // what is wrong, and what would be right

	text string // that of Err without the field, if it names that; empty = all of it
}

func (e *Error) Error() string {
	where, text := fmt.Sprintf("%s:%d: ", e.File, e.Line), e.text
	if e.File == "" { // what is wrong was never in a file
		where = ""
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

// Unwrap returns Err, so that callers find what the value itself says is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Fields holds the lines of the fields of a decoded file.
type Fields struct {
	file  string
	lines map[string]int // by path
}

// goField is how errors of Go packages begin that are about a field: "sim: Scenario.Rate is". Some
// packages add a name to theirs, or a type: "breaker payments: SlowAfter is", "limit.Rate pages: N
// is". Its groups are the type, the names of the fields, and what follows them.
var goField = regexp.MustCompile(`^(?:[a-z]+(?:\.([A-Z]\w*))?(?: \S+)?: )?` +
	`([A-Z]\w*(?:\[\d+\])?(?:\.[A-Z]\w*(?:\[\d+\])?)*)(: | is )`)

// Has reports whether the file has a field at path.
func (f *Fields) Has(path string) bool { return f.lines[path] != 0 }

// Blame turns err, an error about the value at path, into an [*Error] with a line. If its text
// begins by naming a field as Go does ("Policy.Backoff: backoff: Exponential.Base is 5m"), it is
// placed at that field, and named as the file does ("backoff.base is 5m"). Nil stays nil.
func (f *Fields) Blame(path string, err error) error {
	if err == nil {
		return nil
	}
	// Err stays what it was, for errors.Is; only what is printed changes.
	e := &Error{File: f.file, Err: err, text: err.Error()}
	// One package hands on what another one says of a field of its own: each of them leads deeper.
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
	place := path
	// A field that the file leaves out has no line: the closest one around it has.
	for f.lines[place] == 0 && place != "" {
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
	e.Field, e.Line = path, max(f.lines[place], 1)
	return e
}

// deeper returns the path of a field that Go names, inside the value at path. The first name may be
// that of a type, which no file has.
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

// short is a text that may come from a file of anything, cut for a message of one line.
func short(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// Key is the part of a path that stands for the key of a map: in quotes if it could be taken for
// several parts.
func Key(name string) string {
	if name == "" || strings.ContainsAny(name, `.[]"`) || unprintable(name) {
		return strconv.Quote(name)
	}
	return name
}

// snake is a Go name as files write it: MaxElapsed is max_elapsed.
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

func unprintable(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
