package policyfile

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/internal/jsonschema"
)

var update = flag.Bool("update", false, "rewrite schema.json and presets.json")

// words are the types that are one word in a file, and their JSON Schemas.
var words = map[reflect.Type]map[string]any{
	reflect.TypeFor[Duration](): jsonschema.Duration,
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
	reflect.TypeFor[Gate]():  {"minProperties": 1, "maxProperties": 1},
}

func TestSchemaIsCurrent(t *testing.T) {
	docs, err := jsonschema.Comments("policy.go", "gates.go", "file.go")
	if err != nil {
		t.Fatal(err)
	}
	d := jsonschema.Describer{Types: words, Docs: docs}
	want, err := d.Write(reflect.TypeFor[File](), map[string]any{
		"title": "Policies of rebound", "required": []string{"policies"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := Schema(); !bytes.Equal(got, want) {
		t.Errorf("schema.json is out of date: go test ./policyfile -update; got\n%s\nwant\n%s",
			got, want)
	}
	if strings.Contains(string(want), `"description": ""`) {
		t.Errorf("a field has no description:\n%s", string(want))
	}
}
