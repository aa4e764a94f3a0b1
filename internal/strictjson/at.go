package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// step matches one part of a path: a name, and the indexes of items in lists.
var step = regexp.MustCompile(`^([^\[\]]+)((?:\[\d+\])*)$`)

// Set decodes text into the field at path inside the struct that v points to. A path is for example
// server.windows[0].to. The text is JSON, or a string without its quotes. Nil pointers on the way
// are replaced. An error names the part of the path that does not exist, or the mistake in the
// text.
func Set(v any, path, text string) error {
	// A mistake in the middle of the text, such as an invalid item of a list, leaves the field partly
	// changed.
	field, err := at(reflect.ValueOf(v).Elem(), path)
	if err != nil {
		return err
	}
	// The text is tried as JSON first, and then as a string without quotes. Some fields accept both:
	// a number of attempts is 5 or "unlimited".
	_, plain := Decode(path, []byte(text), field.Addr().Interface())
	if plain == nil {
		return nil
	}
	_, quoted := Decode(path, []byte(strconv.Quote(text)), field.Addr().Interface())
	if quoted == nil {
		return nil
	}
	// The error is that of the form that was meant.
	err = plain
	if !json.Valid([]byte(text)) {
		err = quoted
	}
	// There is no file and no line to name. e.Field is relative to path.
	if e, ok := err.(*Error); ok {
		err = e.Err
		if e.Field != "" {
			err = fmt.Errorf("%s: %w", e.Field, err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Names returns the names, in files, of the fields of the struct that v points to. They are sorted,
// for hints and lists.
func Names(v any) []string { return sortedKeys(structFields(reflect.ValueOf(v).Elem())) }

// at finds the value at path inside v. Errors name fields by the same paths.
func at(v reflect.Value, path string) (reflect.Value, error) {
	done := ""
	for part := range strings.SplitSeq(path, ".") {
		m := step.FindStringSubmatch(part)
		if m == nil {
			return v, fmt.Errorf("%s: %q is not part of a path: want a name, such as workers", path, part)
		}
		// The file may have left out a field on the way, such as the backoff of a policy.
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
			// The pattern allows only digits, but the number may be too large for an int.
			i, err := strconv.Atoi(index)
			if err != nil || v.Kind() != reflect.Slice || i >= v.Len() {
				return v, fmt.Errorf("%s has no item [%s]", done, index)
			}
			v, done = v.Index(i), fmt.Sprintf("%s[%s]", done, index)
		}
	}
	return v, nil
}
