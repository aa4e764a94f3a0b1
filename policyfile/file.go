// Package policyfile reads policies from a file, so that they can change without a new build and be
// shared with people who do not read Go:
//
//	{
//	  "$schema": "https://raw.githubusercontent.com/rebound-go/rebound/main/policyfile/schema.json",
//	  "policies": {
//	    "ocr": {
//	      "attempts": 5,
//	      "backoff": {"base": "500ms", "max": "60s", "jitter": "additive:0.5"},
//	      "retry": ["timeout", "connection", "io"],
//	      "breaker": {"failures": 5, "cooldown": "60s"}
//	    }
//	  }
//	}
//
// Parsing is strict. An unknown, repeated or invalid field is an error that names the file, the
// line, the field and the valid values. So is a zero that would mean a default. An omitted field
// means the same as the zero field of [rebound.Policy]. A file cannot hold a classifier, a custom
// gate or an observer: set them on the policy before its first use.
//
// The format is JSON. The command rebound reads the same fields from YAML as well.
package policyfile

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/strictjson"
)

// Error is an error in a file. Its fields are File, Line (from 1), Field (a path such as
// policies.ocr.backoff.base; empty = the whole file) and Err. Its text has this form:
//
//	policies.json:7: policies.ocr.backoff.bse: there is no such field: did you mean "base"?
type Error = strictjson.Error

// File is the content of a policy file. The zero File has no policies.
type File struct {
	// Schema is the address of the JSON Schema, with which editors complete and check the file.
	Schema string `json:"$schema,omitempty"`

	// Policies holds the policies by name. Errors, events and logs have this name.
	Policies map[string]Policy `json:"policies"`
}

// Load reads the JSON file at path. Its errors are those of the file system and of [Parse].
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a file from data and checks all its policies. Every error is an [*Error], in which
// name is the name of the file.
func Parse(name string, data []byte) (*File, error) {
	f := &File{}
	fields, err := strictjson.Decode(name, data, f)
	if err != nil {
		return nil, err
	}
	if len(f.Policies) == 0 {
		return nil, fields.Blame("policies", fmt.Errorf("there are none: want at least one"))
	}
	if _, ok := f.Policies[""]; ok {
		return nil, fields.Blame("policies."+strictjson.Key(""), fmt.Errorf("want a name"))
	}
	for _, policy := range f.Names() {
		if _, err := f.Policy(policy); err != nil {
			return nil, fields.Blame("policies."+strictjson.Key(policy), err)
		}
	}
	return f, nil
}

// Marshal returns the file as indented JSON, which Parse reads back as the same file.
func Marshal(f *File) ([]byte, error) {
	data, err := json.MarshalIndent(f, "", "  ")
	return append(data, '\n'), err
}

// Names returns the names of the policies in the file, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Policies)) }

// Policy returns a new policy, made from the one of that name in the file. If the file has only one
// policy, the name may be empty. Keep the policy and share it. It holds its budget, its breaker and
// its gates, which limit nothing if each call has a new policy.
func (f *File) Policy(name string) (*rebound.Policy, error) {
	if name == "" && len(f.Policies) == 1 {
		name = f.Names()[0]
	}
	spec, ok := f.Policies[name]
	if !ok {
		return nil, fmt.Errorf("there is no policy %q: %s", name, strictjson.Hint(name, f.Names()))
	}
	return spec.Build(name)
}

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the format.
func Schema() []byte { return slices.Clone(schema) }

//go:embed presets.json
var presets []byte

// Presets returns the policies of package preset, as a file to start from.
func Presets() *File {
	f, err := Parse("presets.json", presets)
	if err != nil {
		panic(err) // the file is part of this package, and a test reads it
	}
	return f
}
