package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/internal/jsonschema"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/sim"
)

// policySchema is the part of the schema of policy files about one policy.
func policySchema(t *testing.T) map[string]any {
	t.Helper()
	var s struct {
		Properties struct {
			Policies struct{ AdditionalProperties map[string]any }
		}
	}
	if err := json.Unmarshal(policyfile.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return s.Properties.Policies.AdditionalProperties
}

// The schema of scenarios has the fields of scenario files, described by the Go comments.
func TestScenarioSchemaIsCurrent(t *testing.T) {
	const golden = "scenario.schema.json"
	docs, err := jsonschema.Comments("scenario.go", "../../sim/scenario.go", "../../sim/limit.go")
	if err != nil {
		t.Skip(err) // without the repository around
	}
	queue := map[string]any{"minimum": -1}
	d := jsonschema.Describer{
		Types: map[reflect.Type]map[string]any{
			reflect.TypeFor[policyfile.Policy](): policySchema(t),
			reflect.TypeFor[sim.Route](): {"enum": []sim.Route{
				sim.Balanced, sim.Sticky, sim.Avoiding,
			}},
			reflect.TypeFor[sim.Shape](): {"enum": []sim.Shape{
				sim.Exponential, sim.Constant, sim.Uniform, sim.Normal, sim.LogNormal,
			}},
		},
		Fields: map[string]map[string]any{
			"Server.Queue": queue, "Layer.Queue": queue,
			"scenarioFile.Like": {"enum": sim.Builtins()},
		},
		Docs: docs,
	}
	want, err := d.Write(reflect.TypeFor[scenarioFile](), map[string]any{
		"title": "A scenario of rebound sim",
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(scenarioSchema, want) {
		t.Errorf("%s is out of date: go test -update; want\n%s", golden, want)
	}
	for i, l := range strings.Split(string(want), "\n") {
		if strings.Contains(l, `"description": ""`) {
			t.Errorf("line %d: a field has no description", i+1)
		}
	}
}
