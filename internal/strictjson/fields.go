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
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			inner = append(inner, v.Field(i))
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = snake(f.Name)
		}
		fields[name] = field{v.Field(i), f.Tag.Get("zero")}
	}
	for _, in := range inner {
		for name, f := range structFields(in) {
			if _, shadowed := fields[name]; !shadowed {
				fields[name] = f
			}
		}
	}
	return fields
}

func sortedKeys(fields map[string]field) []string { return slices.Sorted(maps.Keys(fields)) }

// explicitZeros refuses what would mean a default: see Decode.
func (d *decoder) explicitZeros(path string, fields map[string]field) error {
	for _, name := range sortedKeys(fields) {
		f, child := fields[name], join(path, name)
		line := d.lines[child]
		empty := f.value.IsZero() || f.value.Kind() == reflect.Slice && f.value.Len() == 0
		if line == 0 || !empty || f.zero == "" {
			continue
		}
		byDefault, exception, _ := strings.Cut(f.zero, ",unless ")
		sibling, value, _ := strings.Cut(exception, "=")
		if other, ok := fields[sibling]; ok && other.value.String() == value {
			continue
		}
		what := "zero"
		if f.value.Kind() == reflect.Slice {
			what = "an empty list"
		}
		return d.fail(child, line, "%s would mean the default, which is %s: "+
			"leave the field out for that, or want another value", what, byDefault)
	}
	return nil
}
