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
}

func (e *Error) Error() string {
	where := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.Field != "" {
		where += e.Field + ": "
	}
	return where + e.Err.Error()
}

// Unwrap returns Err, so that callers find what the value itself says is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Fields holds the lines of the fields of a decoded file.
type Fields struct {
	file  string
	lines map[string]int // by path
}

// goName is a field's name, or a type's, as errors of Go packages write them.
var goName = regexp.MustCompile(`\b[A-Z]\w*(\[\d+\])?`)

// Blame turns err, an error about the value at path, into an [*Error] with a line. If its text
// begins by naming a field as Go does ("Policy.Backoff: backoff: Exponential.Base is 5m"), it is
// placed at that field. Nil stays nil.
func (f *Fields) Blame(path string, err error) error {
	if err == nil {
		return nil
	}
	// Validation errors begin with the field, and have its value after "is".
	subject, _, _ := strings.Cut(err.Error(), " is ")
	// Each further name leads deeper, as far as the file has such fields.
	for _, name := range goName.FindAllString(subject, -1) {
		if child := join(path, snake(name)); f.lines[child] != 0 {
			path = child
		}
	}
	place := path
	// A field that the file leaves out has no line: the closest one around it has.
	for f.lines[place] == 0 && place != "" {
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
	return &Error{File: f.file, Line: max(f.lines[place], 1), Field: path, Err: err}
}

// join makes the path of a field inside the value at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Key is the part of a path that stands for the key of a map: in quotes if it could be taken for
// several parts.
func Key(name string) string {
	if name == "" || strings.ContainsAny(name, `.[]"`) {
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
