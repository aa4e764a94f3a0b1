// Package jsonschema describes the files that package strictjson reads by a JSON Schema, for tests
// that keep a committed schema in step with the types that it describes.
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

// Duration is what the schema says of a duration.
var Duration = map[string]any{
	"type": "string", "pattern": `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
	"examples": []string{"500ms", "2s", "1m30s"},
}

// Describer describes types.
type Describer struct {
	// Types says what the schema has of types that a file writes in a way of their own. Of a struct it
	// is added to what its fields give, unless it has properties.
	Types map[reflect.Type]map[string]any

	// Fields says what the schema has of single fields besides, by type and field.
	Fields map[string]map[string]any

	// Docs describes fields, by type and field. See [Comments].
	Docs map[string]string
}

// Write returns the schema of a file that has the fields of typ, as indented JSON. more is what the
// schema says besides, such as its title.
func (d *Describer) Write(typ reflect.Type, more map[string]any) ([]byte, error) {
	// The draft that editors know best.
	s := d.schema(typ)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	maps.Copy(s, more)
	// Patterns have & and <, which are for people to read here.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return out.Bytes(), err
}

// schema describes a type by its kind, unless Types has it. Each caller gets a map of its own, to
// which it adds a description.
func (d *Describer) schema(typ reflect.Type) map[string]any {
	if s, ok := d.Types[typ]; ok && (typ.Kind() != reflect.Struct || s["properties"] != nil) {
		return maps.Clone(s)
	}
	// Otherwise a number of nanoseconds.
	if typ == reflect.TypeFor[time.Duration]() {
		return maps.Clone(Duration)
	}
	switch typ.Kind() {
	// A field that is left out is nil.
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
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	}
	// An unknown field is most often a typing error.
	object := map[string]any{
		"type": "object", "properties": d.properties(typ), "additionalProperties": false,
	}
	maps.Copy(object, d.Types[typ])
	return object
}

// properties are the fields of a struct, those of embedded ones included. An outer field hides one
// of the same name inside, as in package strictjson.
func (d *Describer) properties(typ reflect.Type) map[string]any {
	all := map[string]any{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, inner := strictjson.FieldName(f)
		if inner {
			// An outer field that comes later overwrites one from here.
			for name, property := range d.properties(f.Type) {
				if _, hidden := all[name]; !hidden {
					all[name] = property
				}
			}
		}
		if name == "" {
			continue
		}
		// The name of the type that has the field, which for one that is embedded is the inner one.
		key := typ.Name() + "." + f.Name
		property := d.schema(f.Type)
		maps.Copy(property, d.Fields[key])
		property["description"] = d.Docs[key]
		all[name] = property
	}
	return all
}

// Comments reads what Go files say of the fields of their types, above them or behind them, without
// the names of the fields.
func Comments(files ...string) (map[string]string, error) {
	docs := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			// Structs inside of structs have no name to find their fields by.
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

// sentence is a comment that does not begin with "Name is", but with what it says.
func sentence(name, doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	for _, verb := range []string{name + " is ", name + " ", ""} {
		if rest, ok := strings.CutPrefix(doc, verb); ok && rest != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return doc
}
