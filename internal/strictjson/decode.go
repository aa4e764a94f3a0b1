// Package strictjson decodes JSON for configuration: unknown and repeated fields are errors, and
// every error names the file, the line and the field.
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

// Decode reads one JSON value into what v points to. file is what errors, each of them an [*Error],
// call the source.
//
// Fields have the name in their json tag, or else their Go name in snake case: MaxElapsed is
// max_elapsed. Those of an embedded struct count as the outer one's own, unless that has a field of
// the same name. A time.Duration is written as "500ms". A type with UnmarshalText gets the text of
// a string or a number. No other method for decoding is looked for, and null is nowhere a value.
//
// A tag zero:"10" marks a field whose zero means a default, here 10: in a file an explicit zero, an
// empty text or an empty list is an error. zero:"100ms,unless kind=constant" makes an exception.
func Decode(file string, data []byte, v any) (*Fields, error) {
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
	// A number keeps its digits, so that no type loses precision on the way.
	d.json.UseNumber()
	d.file = file
	if err := d.value("", target.Elem()); err != nil {
		return nil, err
	}
	// A second value would be ignored silently, as after a brace too many.
	end := int(d.json.InputOffset())
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		return nil, &Error{File: file, Line: d.line(len(data) - len(rest)),
			Err: errors.New("there is something after the end: want one value")}
	}
	return &d.Fields, nil
}

// decoder reads token by token, since encoding/json's Unmarshal reports no lines, and accepts
// repeated and unknown fields and any case.
type decoder struct {
	Fields
	json *json.Decoder
	data []byte

	counted  int // offset up to which lines were counted
	newlines int // before it
}

// next returns the offset of the next token. The json.Decoder's offset is that of the end of the
// last token, before spaces and separators.
func (d *decoder) next() int {
	at := int(d.json.InputOffset())
	for at < len(d.data) && strings.IndexByte(" \t\r\n,:", d.data[at]) >= 0 {
		at++
	}
	return at
}

// line returns the line of an offset, which is not before that of the last call. Counting goes on
// from there, so that a long file is counted once.
func (d *decoder) line(offset int) int {
	offset = min(offset, len(d.data))
	d.newlines += bytes.Count(d.data[d.counted:offset], []byte("\n"))
	d.counted = offset
	return 1 + d.newlines
}

// fail is an error about a field, which stands in the given line.
func (d *decoder) fail(path string, line int, format string, args ...any) error {
	return &Error{File: d.file, Line: line, Field: path, Err: fmt.Errorf(format, args...)}
}

// token returns the next one and its line.
func (d *decoder) token(path string) (json.Token, int, error) {
	line := d.line(d.next())
	t, err := d.json.Token()
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax): // its Offset counts from some earlier token
		return nil, 0, d.fail(path, line, "this is no JSON: %w", err)
	// The end of the file is where something is missing, not the last token.
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, d.fail(path, d.line(len(d.data)), "the file ends too early")
	case err != nil:
		return nil, 0, d.fail(path, line, "%w", err)
	}
	return t, line, nil
}

// value reads the next value into v, and keeps its line for errors that validation finds later.
func (d *decoder) value(path string, v reflect.Value) error {
	t, line, err := d.token(path)
	if err != nil {
		return err
	}
	d.lines[path] = line
	return d.assign(path, line, t, v)
}

// assign stores the value that begins with the token t.
func (d *decoder) assign(path string, line int, t json.Token, v reflect.Value) error {
	// Pointers distinguish a field that is there from one that is not.
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.assign(path, line, t, v.Elem())
	}
	// Before the kinds, as a type's own text form outranks what it is made of.
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := d.text(path, line, t, text); err != nil {
			return err
		}
		return d.unquoted(path, line, t, v)
	}
	// Nanoseconds, as encoding/json writes them, are not for people.
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

// text gives a value its text. A number counts as one: an attempt count may be 5 or "unlimited".
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
	if err := to.UnmarshalText([]byte(text)); err != nil {
		return d.fail(path, line, "%w", err)
	}
	return nil
}

// unquoted refuses a number in quotes for a type of numbers.
func (d *decoder) unquoted(path string, line int, t json.Token, v reflect.Value) error {
	text, quoted := t.(string)
	_, err := strconv.ParseFloat(text, 64) // of other forms than JSON's, too: +5, 05
	if !quoted || !v.CanInt() || err != nil {
		return nil
	}
	return d.fail(path, line, "want %s without quotes", text)
}

// scalar stores a string, a number or a boolean by way of package json, which checks the ranges.
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
	// Written once more, and read into the kind that is wanted: ranges and fractions are checked
	// there.
	literal, err := json.Marshal(t)
	_, delim := t.(json.Delim)
	if t == nil || delim || err != nil || json.Unmarshal(literal, v.Addr().Interface()) != nil {
		return d.fail(path, line, "want %s, got %s", want, shown(t))
	}
	return nil
}

// list reads a list into a slice. Paths of items have their index, from 0.
func (d *decoder) list(path string, line int, t json.Token, v reflect.Value) error {
	if t != json.Delim('[') {
		return d.fail(path, line, "want a list, got %s", shown(t))
	}
	// A list replaces what was there, and does not add to it.
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

// mapping reads an object whose keys are the file's own, such as names of policies.
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

// object reads an object whose keys are the fields of a struct. An unknown one is most often a
// typing error, hence the hint.
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

// entries calls each with the keys of an object, none of which may come twice, and their lines. A
// repeated key would hide the first value: which of the two was meant?
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
		key := t.(string) // the decoder lets no other token pass here
		if first := seen[key]; first != 0 {
			return d.fail(join(path, key), line, "it is there twice, first in line %d: want one",
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

// shown is a token as people see it. A null says that a field is left out by not being there.
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
