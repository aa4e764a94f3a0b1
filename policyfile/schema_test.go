package policyfile

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite schema.json and presets.json")

// words are the types that a file writes as one word, and what JSON Schema says of them.
var words = map[reflect.Type]map[string]any{
	reflect.TypeFor[Duration](): {
		"type": "string", "pattern": `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
		"examples": []string{"500ms", "2s", "1m30s"},
	},
	reflect.TypeFor[Attempts](): {
		"oneOf": []any{
			map[string]any{"type": "integer", "minimum": 1},
			map[string]any{"const": unlimited},
		},
	},
	reflect.TypeFor[Jitter](): {
		"type": "string",
		"pattern": `^(full|equal|none|(additive|proportional):[0-9.]+(e-?[0-9]+)?|` +
			`[0-9.]+\.\.[0-9.]+)$`,
		"examples": []string{"full", "equal", "none", "additive:0.5", "proportional:0.5"},
	},
	reflect.TypeFor[Kind]():  {"enum": kinds},
	reflect.TypeFor[Match](): {"enum": matches},
}

// schemaOf describes a type. docs are the comments of the fields, by type and field.
func schemaOf(typ reflect.Type, docs map[string]string) map[string]any {
	if s, ok := words[typ]; ok {
		return clone(s)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return schemaOf(typ.Elem(), docs)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(typ.Elem(), docs)}
	case reflect.Map:
		return map[string]any{
			"type": "object", "minProperties": 1, "additionalProperties": schemaOf(typ.Elem(), docs),
		}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	}
	properties := map[string]any{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		property := schemaOf(f.Type, docs)
		property["description"] = docs[typ.Name()+"."+f.Name]
		properties[name] = property
	}
	object := map[string]any{
		"type": "object", "properties": properties, "additionalProperties": false,
	}
	if typ == reflect.TypeFor[Gate]() {
		object["minProperties"], object["maxProperties"] = 1, 1
	}
	return object
}

func clone(s map[string]any) map[string]any {
	c := map[string]any{}
	for k, v := range s {
		c[k] = v
	}
	return c
}

// comments reads what stands above the fields of the types in a file, without the field's name.
func comments(t *testing.T, files ...string) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, id := range field.Names {
						docs[spec.Name.Name+"."+id.Name] = sentence(id.Name, field.Doc.Text())
					}
				}
			}
			return false
		})
	}
	return docs
}

// sentence is a comment that does not begin with "Name is", but with what it says.
func sentence(name, doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	for _, verb := range []string{" is ", " "} {
		if rest, ok := strings.CutPrefix(doc, name+verb); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return doc
}

func TestSchemaIsCurrent(t *testing.T) {
	s := schemaOf(reflect.TypeFor[File](), comments(t, "policy.go", "gates.go", "file.go"))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Policies of rebound"
	s["required"] = []string{"policies"}
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := Schema(); !bytes.Equal(got, want.Bytes()) {
		t.Errorf("schema.json is out of date: go test ./policyfile -update; got\n%s\nwant\n%s",
			got, want.Bytes())
	}
	if strings.Contains(want.String(), `"description": ""`) {
		t.Errorf("a field has no description:\n%s", want.String())
	}
}
