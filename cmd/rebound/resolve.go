package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
)

// zero is the name of the zero policy.
const zero = "zero"

// named is a policy as a file describes it.
type named struct {
	name string
	spec policyfile.Policy
	path string // its field in the scenario file; empty = it is not from that file
}

func (n named) build() (*rebound.Policy, error) {
	p, err := n.spec.Build(n.name)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", n.name, err)
	}
	return p, nil
}

// builtin holds policies that simulations compare others with.
//
//go:embed builtin.json
var builtin []byte

// own returns the built-in policies: the zero policy, the presets, and those in builtin.
func own() map[string]policyfile.Policy {
	all := policyfile.Presets().Policies
	more, err := policyfile.Parse("builtin.json", builtin)
	if err != nil {
		panic(err) // the file is part of this program, and its tests read it
	}
	maps.Copy(all, more.Policies)
	all[zero] = policyfile.Policy{}
	return all
}

func ownNames() []string { return slices.Sorted(maps.Keys(own())) }

// find returns the policies that ref names: a built-in policy (aggressive), one policy of a file
// (policies.yaml#ocr), or all policies of a file (policies.yaml).
func find(ref string) ([]named, error) {
	if spec, ok := own()[ref]; ok {
		return []named{{name: ref, spec: spec}}, nil
	}
	path, name, one := cutName(ref)
	if one && name == "" {
		return nil, fmt.Errorf("%q has no name after the #: want %s for all its policies", ref, path)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, unknown(ref, "policy", ownNames(), "a file, or file#name")
	}
	file, err := loadPolicies(path)
	if err != nil {
		return nil, err
	}
	if one {
		if _, err := file.Policy(name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return []named{{name: name, spec: file.Policies[name]}}, nil
	}
	var all []named
	for _, name := range file.Names() {
		all = append(all, named{name: name, spec: file.Policies[name]})
	}
	return all, nil
}

// cutName cuts file#name at the #. If ref as a whole is a file, a # belongs to the file's name.
func cutName(ref string) (path, name string, one bool) {
	if _, err := os.Stat(ref); err == nil {
		return ref, "", false
	}
	return strings.Cut(ref, "#")
}

// unknown returns the error for a ref that is neither in names nor a file. other describes the
// other valid values.
func unknown(ref, what string, names []string, other string) error {
	hint := strictjson.Hint(ref, names)
	if !strings.HasPrefix(hint, "did you") {
		hint += ", " + other
	}
	return fmt.Errorf("%q is neither a %s nor a file: %s", ref, what, hint)
}

// findOne returns the only policy that ref names. Several are an error.
func findOne(ref string) (named, error) {
	all, err := find(ref)
	if err != nil {
		return named{}, err
	}
	if len(all) == 1 {
		return all[0], nil
	}
	var refs []string
	for _, p := range all {
		refs = append(refs, ref+"#"+p.name)
	}
	return named{}, fmt.Errorf("%s has %d policies: want one of %s",
		ref, len(all), strings.Join(refs, ", "))
}

func loadPolicies(path string) (*policyfile.File, error) {
	data, err := readJSON(path)
	if err != nil {
		return nil, err
	}
	return policyfile.Parse(path, data)
}
