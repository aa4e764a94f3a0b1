package strictjson

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// field is a field of a struct that a file may set.
type field struct {
	value reflect.Value
	// zero is the text of the tag zero: the default that a zero value stands for.
	zero string
}

// structFields returns the fields of a struct by their names in a file.
func structFields(v reflect.Value) map[string]field {
	// The values are addressable, so that decoding into them changes the struct.
	fields := map[string]field{}
	var inner []reflect.Value
	for i := range v.NumField() {
		f := v.Type().Field(i)
		// A field that is not exported has no name and is not embedded.
		name, embedded := FieldName(f)
		if embedded {
			inner = append(inner, v.Field(i))
		}
		if name != "" {
			fields[name] = field{v.Field(i), f.Tag.Get("zero")}
		}
	}
	// Embedded structs come last, because outer fields hide inner ones of the same name.
	for _, in := range inner {
		for name, f := range structFields(in) {
			if _, shadowed := fields[name]; !shadowed {
				fields[name] = f
			}
		}
	}
	return fields
}

// collect adds the names of all fields that a value of type t may have, at any depth. seen holds
// the types that it was called with.
func collect(names map[string]bool, seen map[reflect.Type]bool, t reflect.Type) {
	if seen[t] {
		return // a type may contain pointers to itself
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		collect(names, seen, t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if name, embedded := FieldName(t.Field(i)); name != "" || embedded {
				names[name] = true
				collect(names, seen, t.Field(i).Type)
			}
		}
	}
}

// FieldName returns the name that files use for a field of a struct, or "" if it cannot be set. For
// an embedded struct it returns true: its fields are set as the outer struct's own.
func FieldName(f reflect.StructField) (name string, embedded bool) {
	// The tags are those of encoding/json, because the same structs are also written with it.
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	switch {
	// An embedded struct with a name of its own is a field like any other, as in encoding/json.
	case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
		return "", true
	// What encoding/json does not write cannot be set either.
	case name == "-" || !f.IsExported():
		return "", false
	case name == "":
		return snake(f.Name), false
	}
	return name, false
}

// sortedKeys returns the names in order. Without an order, the first of several errors would differ
// from run to run.
func sortedKeys(fields map[string]field) []string { return slices.Sorted(maps.Keys(fields)) }

// explicitZeros rejects zeros that would mean a default: see Decode. A zero in a file is meant as
// none, and replacing it by the default without an error would be a surprise.
func (d *decoder) explicitZeros(path string, fields map[string]field) error {
	for _, name := range sortedKeys(fields) {
		f, child := fields[name], join(path, name)
		line := d.lines[child] // 0 = the field is not in the file
		empty := f.value.IsZero() || f.value.Kind() == reflect.Slice && f.value.Len() == 0
		if line == 0 || !empty || f.zero == "" {
			continue
		}
		byDefault, exception, _ := strings.Cut(f.zero, ",unless ")
		// For example, a base of 0 is valid for a constant delay.
		sibling, value, _ := strings.Cut(exception, "=")
		if other, ok := fields[sibling]; ok && other.value.String() == value {
			continue
		}
		what := "zero" // in the form that the file has
		switch f.value.Kind() {
		case reflect.Slice:
			what = "an empty list"
		case reflect.String:
			what = "an empty text"
		}
		return d.fail(child, line, "%s would mean the default, which is %s: "+
			"leave the field out for that, or set another value", what, byDefault)
	}
	return nil
}
