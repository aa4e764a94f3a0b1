package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// step is one part of a path: a name, followed by the indexes of items in lists.
var step = regexp.MustCompile(`^([^\[\]]+)((?:\[\d+\])*)$`)

// Set decodes text, which is JSON or a text without its quotes, into the field at path of what v
// points to, for example server.windows[0].to. Nil pointers on the way are replaced. An error names
// the part of the path that does not exist, or what is wrong with the text.
func Set(v any, path, text string) error {
	// A text that fails half way, such as a list with one bad item, leaves the field changed.
	field, err := at(reflect.ValueOf(v).Elem(), path)
	if err != nil {
		return err
	}
	// JSON is read as JSON: a number, true, a list. A plain word is read as a text, and needs no
	// quotes. Some fields accept both: a number of attempts is 5 or "unlimited".
	_, plain := Decode(path, []byte(text), field.Addr().Interface())
	if plain == nil {
		return nil
	}
	_, quoted := Decode(path, []byte(strconv.Quote(text)), field.Addr().Interface())
	if quoted == nil {
		return nil
	}
	// If the text is JSON, the error of reading it as JSON is returned. Otherwise it was meant as a
	// word.
	err = plain
	if !json.Valid([]byte(text)) {
		err = quoted
	}
	// There is no file and no line. path is the place, and e.Field is a place inside it.
	if e, ok := err.(*Error); ok {
		err = e.Err
		if e.Field != "" {
			err = fmt.Errorf("%s: %w", e.Field, err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Names returns the names that files use for the fields of what v points to.
func Names(v any) []string { return sortedKeys(structFields(reflect.ValueOf(v).Elem())) }

// at finds the value at path inside v. The paths are those of errors, so a field that an error
// names can be set under the same path.
func at(v reflect.Value, path string) (reflect.Value, error) {
	done := ""
	for part := range strings.SplitSeq(path, ".") {
		m := step.FindStringSubmatch(part)
		if m == nil {
			return v, fmt.Errorf("%s: %q is no part of a path: want a name, such as workers", path, part)
		}
		// A field that the file leaves out, such as the backoff of a policy, starts as a zero value.
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		// For example server.workers.count, where workers is a number.
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
		// Only existing items can be set: a new item would need values for its other fields.
		for index := range strings.SplitSeq(strings.Trim(m[2], "[]"), "][") {
			if index == "" {
				continue // no list
			}
			// The pattern allows digits only, but their number may be too large for an int.
			i, err := strconv.Atoi(index)
			if err != nil || v.Kind() != reflect.Slice || i >= v.Len() {
				return v, fmt.Errorf("%s has no item [%s]", done, index)
			}
			v, done = v.Index(i), fmt.Sprintf("%s[%s]", done, index)
		}
	}
	return v, nil
}
