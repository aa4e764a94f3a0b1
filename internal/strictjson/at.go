package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// step is one part of a path: a name, and the indexes of items in lists.
var step = regexp.MustCompile(`^([^\[\]]+)((?:\[\d+\])*)$`)

// Set decodes text, which is JSON or a text without its quotes, into the field at path of what v
// points to, such as server.windows[0].to. Fields on the way that are nil are made. An error says
// which part of the path there is none of, or what is wrong with the text.
func Set(v any, path, text string) error {
	field, err := at(reflect.ValueOf(v).Elem(), path)
	if err != nil {
		return err
	}
	// What is JSON is taken for that: a number, true, a list. A word is a text, and needs no quotes.
	// An attempt count is both, 5 or "unlimited".
	_, plain := Decode(path, []byte(text), field.Addr().Interface())
	if plain == nil {
		return nil
	}
	_, quoted := Decode(path, []byte(strconv.Quote(text)), field.Addr().Interface())
	if quoted == nil {
		return nil
	}
	// The error of the text as it is, if it is JSON. Otherwise it was meant as a word.
	err = plain
	if !json.Valid([]byte(text)) {
		err = quoted
	}
	// There is no file and no line: path is the place, and e.Field is one inside it.
	if e, ok := err.(*Error); ok {
		err = e.Err
		if e.Field != "" {
			err = fmt.Errorf("%s: %w", e.Field, err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Names returns the fields of what v points to, by the names that files have for them.
func Names(v any) []string { return sortedKeys(structFields(reflect.ValueOf(v).Elem())) }

// at finds the value at path inside v. The paths are those of errors, so that what an error names
// can be set.
func at(v reflect.Value, path string) (reflect.Value, error) {
	done := ""
	for part := range strings.SplitSeq(path, ".") {
		m := step.FindStringSubmatch(part)
		if m == nil {
			return v, fmt.Errorf("%s: %q is no part of a path: want a name, such as workers", path, part)
		}
		// A field that the file leaves out, such as the backoff of a policy, begins with its zeros.
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		// Such as server.workers.count.
		if v.Kind() != reflect.Struct {
			return v, fmt.Errorf("%s: %s has no fields", path, done)
		}
		fields := structFields(v)
		f, ok := fields[m[1]]
		done = join(done, m[1])
		if !ok {
			return v, fmt.Errorf("%s: there is no such field: %s", done, Hint(m[1], sortedKeys(fields)))
		}
		v = f.value
		// The items exist already: what a new one would have besides is not known.
		for index := range strings.SplitSeq(strings.Trim(m[2], "[]"), "][") {
			if index == "" {
				continue // no list
			}
			i, err := strconv.Atoi(index)
			if err != nil || v.Kind() != reflect.Slice || i >= v.Len() {
				return v, fmt.Errorf("%s has no item [%s]", done, index)
			}
			v, done = v.Index(i), fmt.Sprintf("%s[%s]", done, index)
		}
	}
	return v, nil
}
