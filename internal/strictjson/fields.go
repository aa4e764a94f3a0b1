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
	zero  string // the tag of that name
}

// structFields returns the fields of a struct by their names in a file.
func structFields(v reflect.Value) map[string]field {
	fields := map[string]field{}
	var inner []reflect.Value
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, embedded := FieldName(f)
		if embedded {
			inner = append(inner, v.Field(i))
		}
		if name != "" {
			fields[name] = field{v.Field(i), f.Tag.Get("zero")}
		}
	}
	// After the outer fields, which shadow those of the same name inside.
	for _, in := range inner {
		for name, f := range structFields(in) {
			if _, shadowed := fields[name]; !shadowed {
				fields[name] = f
			}
		}
	}
	return fields
}

// collect adds the names of all fields that a value of type t may have, at any depth. seen are the
// types that it was called with.
func collect(names map[string]bool, seen map[reflect.Type]bool, t reflect.Type) {
	if seen[t] {
		return // a type may have itself as a field
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

// FieldName returns the name that files have for a field of a struct; empty = it cannot be set. The
// fields of one that is embedded are set as the outer struct's own.
func FieldName(f reflect.StructField) (name string, embedded bool) {
	// The tags are those of encoding/json, as the same structs are written by it.
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	switch {
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

// sortedKeys keeps errors the same from run to run.
func sortedKeys(fields map[string]field) []string { return slices.Sorted(maps.Keys(fields)) }

// explicitZeros refuses what would mean a default: see Decode. Who writes a zero means none, and
// would get the default instead.
func (d *decoder) explicitZeros(path string, fields map[string]field) error {
	for _, name := range sortedKeys(fields) {
		f, child := fields[name], join(path, name)
		// Without a line the field is not in the file: nothing was written that could be wrong.
		line := d.lines[child]
		empty := f.value.IsZero() || f.value.Kind() == reflect.Slice && f.value.Len() == 0
		if line == 0 || !empty || f.zero == "" {
			continue
		}
		byDefault, exception, _ := strings.Cut(f.zero, ",unless ")
		// Such as a base of 0: a constant delay of nothing makes sense.
		sibling, value, _ := strings.Cut(exception, "=")
		if other, ok := fields[sibling]; ok && other.value.String() == value {
			continue
		}
		what := "zero"
		switch f.value.Kind() {
		case reflect.Slice:
			what = "an empty list"
		case reflect.String:
			what = "an empty text"
		}
		return d.fail(child, line, "%s would mean the default, which is %s: "+
			"leave the field out for that, or want another value", what, byDefault)
	}
	return nil
}
