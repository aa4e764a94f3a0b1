package policyfile

import (
	"fmt"
	"math"
	"regexp"
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

func (e *Error) Unwrap() error { return e.Err }

// Fields tells where the fields of a decoded file stand.
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
	subject, _, _ := strings.Cut(err.Error(), " is ")
	for _, name := range goName.FindAllString(subject, -1) {
		if child := join(path, snake(name)); f.lines[child] != 0 {
			path = child
		}
	}
	place := path
	for f.lines[place] == 0 && place != "" {
		place = place[:max(strings.LastIndexAny(place, ".["), 0)]
	}
	return &Error{File: f.file, Line: max(f.lines[place], 1), Field: path, Err: err}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
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

// nearest returns the known name that a slip of the hand may have turned into name, or that begins
// like it, or "".
func nearest(name string, known []string) (best string) {
	least := math.MaxInt
	for _, k := range known {
		d, bearable := distance(name, k), max(len(name), len(k))/3
		alike := len(name) >= 5 && strings.HasPrefix(k, name[:5]) ||
			len(k) >= 3 && strings.HasPrefix(name, k)
		if d < least && (alike || d <= max(bearable, 1)) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next one
// (restricted Damerau–Levenshtein). Case, and how words are joined, cost nothing.
func distance(a, b string) int {
	plain := strings.NewReplacer("-", "", "_", "", " ", "")
	a, b = strings.ToLower(plain.Replace(a)), strings.ToLower(plain.Replace(b))
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
