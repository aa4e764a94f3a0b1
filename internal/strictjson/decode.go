// Package strictjson decodes JSON for configuration. Unknown and repeated fields are errors, and
// every error names the file, the line and the field.
//
// It is stricter than encoding/json on purpose. If a field with a typing error were ignored, its
// default would apply. The mistake would show only in an outage.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Decode reads one JSON value into the variable that v points to. Every error is an [*Error], in
// which file is the name of the source.
//
// A field has the name in its json tag, or else its Go name in snake case: MaxElapsed is
// max_elapsed. The fields of an embedded struct count as those of the outer struct, unless that has
// a field of the same name. A time.Duration is written as "500ms". UnmarshalText of a type gets the
// text of a string or a number. Other methods for decoding are not called. null is an error.
//
// A tag zero:"10" marks a field whose zero value means a default, here 10. In a file, an explicit
// zero, an empty text or an empty list is then an error. zero:"100ms,unless kind=constant" makes an
// exception.
func Decode(file string, data []byte, v any) (*Fields, error) {
	// This mistake is in the program, not in the file, so it is not an *Error.
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return nil, fmt.Errorf("strictjson: cannot decode into a %T: want a pointer", v)
	}
	// Editors on Windows begin a file with a byte order mark.
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	d := &decoder{
		Fields: *FieldsOf(v),
		json:   json.NewDecoder(bytes.NewReader(data)),
		data:   data,
	}
	// A number keeps its digits, so that no type loses precision.
	d.json.UseNumber()
	d.file = file
	if err := d.value("", target.Elem()); err != nil {
		return nil, err
	}
	// Without this check a second value, for example after one brace too many, would be ignored.
	end := int(d.json.InputOffset())
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		return nil, &Error{File: file, Line: d.line(len(data) - len(rest)),
			Err: errors.New("there is more after the value: want one value")}
	}
	return &d.Fields, nil
}

// decoder reads token by token. Unmarshal of encoding/json reports no lines, and accepts repeated
// fields, unknown fields and any case.
type decoder struct {
	Fields
	json *json.Decoder
	data []byte

	// For line: the offset up to which lines were counted, and the newlines before it.
	counted  int
	newlines int
}

// next returns the offset of the next token. The json.Decoder reports only where the last one
// ended, which may be lines before.
func (d *decoder) next() int {
	at := int(d.json.InputOffset())
	// Colons and commas are not tokens of the json.Decoder.
	for at < len(d.data) && strings.IndexByte(" \t\r\n,:", d.data[at]) >= 0 {
		at++
	}
	return at
}

// line returns the line of an offset. Offsets must not decrease from call to call, so that a long
// file is counted only once.
func (d *decoder) line(offset int) int {
	offset = min(offset, len(d.data))
	d.newlines += bytes.Count(d.data[d.counted:offset], []byte("\n"))
	d.counted = offset
	return 1 + d.newlines
}

// fail returns an error about the field at path, which is in the given line.
func (d *decoder) fail(path string, line int, format string, args ...any) error {
	return &Error{File: d.file, Line: line, Field: path, Err: fmt.Errorf(format, args...)}
}

// token returns the next token and its line.
func (d *decoder) token(path string) (json.Token, int, error) {
	line := d.line(d.next())
	t, err := d.json.Token()
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax): // its Offset is relative to an earlier token
		return nil, 0, d.fail(path, line, "this is not JSON: %w", err)
	// Something is missing at the end of the file, not at the last token.
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, d.fail(path, d.line(len(d.data)), "the file ends too early")
	case err != nil:
		return nil, 0, d.fail(path, line, "%w", err)
	}
	return t, line, nil
}

// value reads the next value into v. It records the line for errors that validation finds later.
func (d *decoder) value(path string, v reflect.Value) error {
	t, line, err := d.token(path)
	if err != nil {
		return err
	}
	// Errors about a value of several lines name its first line.
	d.lines[path] = line
	return d.assign(path, line, t, v)
}

// assign stores the value that begins with the token t. It may need further tokens, for lists and
// objects.
func (d *decoder) assign(path string, line int, t json.Token, v reflect.Value) error {
	// A pointer is nil only if the file leaves the field out.
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.assign(path, line, t, v.Elem())
	}
	// This comes before the kinds, because a type's own text form outranks its kind.
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := d.text(path, line, t, text); err != nil {
			return err
		}
		return d.unquoted(path, line, t, v)
	}
	// encoding/json would read a number of nanoseconds.
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return d.text(path, line, t, (*duration)(v.Addr().Interface().(*time.Duration)))
	}
	switch v.Kind() {
	case reflect.Struct:
		fields := structFields(v)
		if err := d.object(path, line, t, fields); err != nil {
			return err
		}
		return d.explicitZeros(path, fields)
	case reflect.Map:
		return d.mapping(path, line, t, v)
	case reflect.Slice:
		return d.list(path, line, t, v)
	}
	return d.scalar(path, line, t, v)
}

// text passes a string or a number to UnmarshalText: a number of attempts may be 5 or "unlimited".
func (d *decoder) text(path string, line int, t json.Token, to encoding.TextUnmarshaler) error {
	var text string
	switch t := t.(type) {
	case string:
		text = t
	case json.Number:
		text = t.String()
	default:
		return d.fail(path, line, "want a text, got %s", shown(t))
	}
	// The value's own error describes the mistake; fail adds the place.
	if err := to.UnmarshalText([]byte(text)); err != nil {
		return d.fail(path, line, "%w", err)
	}
	return nil
}

// unquoted rejects a number in quotes for a type of numbers.
func (d *decoder) unquoted(path string, line int, t json.Token, v reflect.Value) error {
	text, quoted := t.(string)
	// UnmarshalText would accept the number, but it would be written back without quotes.
	_, err := strconv.ParseFloat(text, 64) // forms that JSON does not have count, too: +5, 05
	if !quoted || !v.CanInt() || err != nil {
		return nil
	}
	return d.fail(path, line, "want %s without quotes", text)
}

// scalar stores a string, a number or a boolean through encoding/json, which checks the ranges.
func (d *decoder) scalar(path string, line int, t json.Token, v reflect.Value) error {
	var want string
	switch v.Kind() {
	case reflect.String:
		want = "a text in quotes"
	case reflect.Bool:
		want = "true or false"
	case reflect.Float64, reflect.Float32:
		want = "a number"
	default:
		want = "a whole number in its range"
	}
	// encoding/json reads the token into the right kind, and checks ranges and fractions.
	literal, err := json.Marshal(t)
	_, delim := t.(json.Delim)
	// null would leave the field as it is, as if the file had left it out.
	if t == nil || delim || err != nil || json.Unmarshal(literal, v.Addr().Interface()) != nil {
		return d.fail(path, line, "want %s, got %s", want, shown(t))
	}
	return nil
}

// list reads a list into a slice. The path of an item contains its index, from 0.
func (d *decoder) list(path string, line int, t json.Token, v reflect.Value) error {
	if t != json.Delim('[') {
		return d.fail(path, line, "want a list, got %s", shown(t))
	}
	// A list replaces the previous one and does not extend it.
	v.SetLen(0)
	for i := 0; d.json.More(); i++ {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	// The closing bracket; anything else is an error of syntax.
	_, _, err := d.token(path)
	return err
}

// mapping reads an object whose keys the file chooses, such as the names of policies. Any key is
// valid here; the user of the map checks them.
func (d *decoder) mapping(path string, line int, t json.Token, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	return d.entries(path, line, t, func(key string, _ int) error {
		// An entry of a map cannot be set in place.
		item := reflect.New(v.Type().Elem()).Elem()
		err := d.value(join(path, Key(key)), item)
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
		return err
	})
}

// object reads an object whose keys are the fields of a struct. An unknown key is usually a typing
// error, so the error contains a hint.
func (d *decoder) object(
	path string, line int, t json.Token, fields map[string]field,
) error {
	return d.entries(path, line, t, func(key string, line int) error {
		field, ok := fields[key]
		if !ok {
			return d.fail(join(path, key), line, "there is no such field: %s",
				Hint(key, sortedKeys(fields)))
		}
		return d.value(join(path, key), field.value)
	})
}

// entries calls each with the keys of an object and their lines. A repeated key is an error,
// because one value would hide the other.
func (d *decoder) entries(
	path string, line int, t json.Token, each func(string, int) error,
) error {
	if t != json.Delim('{') {
		return d.fail(path, line, "want an object of fields, got %s", shown(t))
	}
	seen := map[string]int{}
	for d.json.More() {
		t, line, err := d.token(path)
		if err != nil {
			return err
		}
		key := t.(string) // json.Decoder accepts no other token here
		if first := seen[key]; first != 0 {
			return d.fail(join(path, key), line, "it is set twice, first in line %d: want one",
				first)
		}
		seen[key] = line
		if err := each(key, line); err != nil {
			return err
		}
	}
	_, _, err := d.token(path)
	return err
}

// shown returns a token as an error shows it. null is an error, because it does not mean a default.
func shown(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "nothing: leave the field out for its default"
	case json.Delim:
		if t == '[' {
			return "a list"
		}
		return "an object"
	case string:
		return fmt.Sprintf("%q", short(t))
	}
	return short(fmt.Sprint(t))
}
