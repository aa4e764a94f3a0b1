// Package jsonschema generates a JSON Schema for the files that package strictjson reads. Tests use
// it to keep a committed schema in step with the types that it describes.
package jsonschema

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/rebound-go/rebound/internal/strictjson"
)

// Duration is the schema of a duration: the texts that strictjson.ParseDuration accepts.
var Duration = map[string]any{
	"type": "string", "pattern": `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
	"examples": []string{"500ms", "2s", "1m30s"},
}

// Describer describes types. The zero Describer knows only their kinds.
type Describer struct {
	// Types holds the schema of types that have a form of their own in files. For a struct it is added
	// to the schema of the fields, unless it has properties.
	Types map[reflect.Type]map[string]any

	// Fields holds additions to the schema of single fields, by type and field.
	Fields map[string]map[string]any

	// Docs describes fields, by type and field. See [Comments].
	Docs map[string]string
}

// Write returns the schema of a file that has the fields of typ, as indented JSON. more is added at
// the top level, such as a title.
func (d *Describer) Write(typ reflect.Type, more map[string]any) ([]byte, error) {
	// 2020-12 is the draft that editors support best.
	s := d.schema(typ)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	maps.Copy(s, more)
	// Patterns contain & and <, which must stay readable.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return out.Bytes(), err
}

// schema describes a type by its kind, unless it is in Types. Each caller gets a map of its own, to
// which it adds a description.
func (d *Describer) schema(typ reflect.Type) map[string]any {
	if s, ok := d.Types[typ]; ok && (typ.Kind() != reflect.Struct || s["properties"] != nil) {
		return maps.Clone(s)
	}
	// By its kind a Duration would be a number of nanoseconds.
	if typ == reflect.TypeFor[time.Duration]() {
		return maps.Clone(Duration)
	}
	switch typ.Kind() {
	// A field that is left out is nil. A pointer marks a field that may be left out; its schema is
	// that of the value.
	case reflect.Pointer:
		return d.schema(typ.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": d.schema(typ.Elem())}
	case reflect.Map:
		return map[string]any{
			"type": "object", "minProperties": 1, "additionalProperties": d.schema(typ.Elem()),
		}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	// No setting is negative, and a zero means the default.
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	}
	// An unknown field is usually a typing error, so none is allowed.
	object := map[string]any{
		"type": "object", "properties": d.properties(typ), "additionalProperties": false,
	}
	maps.Copy(object, d.Types[typ])
	return object
}

// properties are the fields of a struct, including those of embedded structs. An outer field hides
// an inner one of the same name, as in package strictjson.
func (d *Describer) properties(typ reflect.Type) map[string]any {
	all := map[string]any{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, inner := strictjson.FieldName(f)
		if inner {
			// An outer field that comes later overwrites a property from here.
			for name, property := range d.properties(f.Type) {
				if _, hidden := all[name]; !hidden {
					all[name] = property
				}
			}
		}
		// A field without a name cannot be set, so the schema leaves it out.
		if name == "" {
			continue
		}
		// The type that has the field; for an embedded field that is the inner type.
		key := typ.Name() + "." + f.Name
		property := d.schema(f.Type)
		maps.Copy(property, d.Fields[key])
		// Editors show the description beside the field.
		property["description"] = d.Docs[key]
		all[name] = property
	}
	return all
}

// Comments returns the comments on the fields of the types in Go files, above or behind the fields.
// The names of the fields are left out, because a schema shows them anyway.
func Comments(files ...string) (map[string]string, error) {
	docs := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		// Only type declarations hold fields; nothing is type-checked, so the files need not compile.
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			// Structs inside structs have no name by which to find their fields.
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, id := range field.Names {
						text := field.Doc.Text() + field.Comment.Text()
						docs[spec.Name.Name+"."+id.Name] = sentence(id.Name, text)
					}
				}
			}
			return false
		})
	}
	return docs, nil
}

// sentence is a comment without "Name is" or "Name" at its start.
func sentence(name, doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	// The longer form comes first, or "is" would remain.
	for _, verb := range []string{name + " is ", name + " ", ""} {
		if rest, ok := strings.CutPrefix(doc, verb); ok && rest != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return doc
}
