package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/sim"
)

// scenarioFile is the content of a scenario file: the fields of sim.Scenario in snake case, and
// some more.
type scenarioFile struct {
	// Schema is the address of the JSON Schema, with which editors complete and check the file.
	Schema string `json:"$schema"`

	// Like is a built-in scenario. It supplies the values that the file leaves out.
	Like string

	// Policies holds policies by name, as in a policy file.
	Policies map[string]policyfile.Policy

	// Compare lists the policies to compare: names in this file, or values of --policy. Empty = all of
	// Policies.
	Compare []string

	// Layers lists the layers of the scenario, each with the name of its policy.
	Layers []layerFile

	// Hedge begins a second request when an attempt at the server takes too long. Without it there
	// are no hedges.
	Hedge *hedgeFile

	sim.Scenario
}

// hedgeFile is a hedge.
type hedgeFile struct {
	// After is the time after which a hedge begins if there is no answer. 0 = measured, by Percentile.
	After time.Duration

	// Percentile is the share of the last successes that took at most the measured time. 0 = 0.95.
	Percentile float64

	// Max is the largest number of hedges of an attempt. 0 = 1.
	Max int
}

// hedge returns the hedge for the simulator, or nil if there is none.
func (h *hedgeFile) hedge() *hedge.Hedge {
	if h == nil {
		return nil
	}
	return &hedge.Hedge{After: h.After, Percentile: h.Percentile, Max: h.Max}
}

// layerFile is a layer.
type layerFile struct {
	// Policy is the layer's policy: a name in this file, or a value of --policy. Empty = the policy
	// that is simulated.
	Policy string

	sim.Layer
}

// study is a scenario, and the policies to simulate it under.
type study struct {
	scenario sim.Scenario
	policies []named
	hedge    *hedgeFile
	layers   []named            // the policies of the scenario's layers
	fields   *strictjson.Fields // the fields of the file, and those that flags set
}

// readStudy returns the study of a built-in scenario or of a file.
func readStudy(ref string) (study, error) {
	if slices.Contains(sim.Builtins(), ref) {
		s, err := sim.Builtin(ref)
		return study{scenario: s, fields: strictjson.FieldsOf(&scenarioFile{})}, err
	}
	if _, err := os.Stat(ref); errors.Is(err, fs.ErrNotExist) {
		return study{}, unknown(ref, "scenario", sim.Builtins(), "or a file")
	}
	data, err := readJSON(ref)
	if err != nil {
		return study{}, err
	}
	return parseStudy(ref, data)
}

func parseStudy(path string, data []byte) (study, error) {
	var f scenarioFile
	fields, err := strictjson.Decode(path, data, &f)
	if err != nil {
		return study{}, err
	}
	if f.Like != "" {
		s, err := sim.Builtin(f.Like)
		if err != nil {
			return study{}, fields.Blame("like", fmt.Errorf("there is no scenario %q: %s", f.Like,
				strictjson.Hint(f.Like, sim.Builtins())))
		}
		fields.Inherit("like")
		s.Name, s.About = "", ""
		f = scenarioFile{Scenario: s} // the second Decode overwrites it with the file's values
		if _, err := strictjson.Decode(path, data, &f); err != nil {
			return study{}, err
		}
	}
	f.Clients = settle(f.Clients, fields.Has)
	if f.Name == "" {
		f.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	for _, name := range policyNames(f.Policies) {
		if name == "" {
			return study{}, fields.Blame("policies."+strictjson.Key(name),
				errors.New("the name is empty: want a name"))
		}
		if _, err := f.Policies[name].Build(name); err != nil {
			return study{}, fields.Blame("policies."+strictjson.Key(name), err)
		}
	}
	layers, err := f.fillLayers(fields)
	if err != nil {
		return study{}, err
	}
	all, err := f.compared(fields)
	return study{f.Scenario, all, f.Hedge, layers, fields}, err
}

func policyNames(policies map[string]policyfile.Policy) []string {
	return (&policyfile.File{Policies: policies}).Names()
}

// fillLayers gives the scenario its layers, and returns their policies.
func (f *scenarioFile) fillLayers(fields *strictjson.Fields) (all []named, err error) {
	for i, l := range f.Layers {
		var p named
		if l.Policy != "" {
			if p, err = f.policy(l.Policy); err == nil {
				l.Layer.Policy, err = p.build()
			}
			if err != nil {
				return nil, fields.Blame(fmt.Sprintf("layers[%d].policy", i), err)
			}
		}
		all = append(all, p)
		f.Scenario.Layers = append(f.Scenario.Layers, l.Layer)
	}
	return all, nil
}

// policy returns the policy that ref names: one of this file, or any that findOne knows.
func (f *scenarioFile) policy(ref string) (named, error) {
	if spec, ok := f.Policies[ref]; ok {
		return named{ref, spec, "policies." + strictjson.Key(ref)}, nil
	}
	return findOne(ref)
}

// compared returns the policies to simulate.
func (f *scenarioFile) compared(fields *strictjson.Fields) (all []named, err error) {
	for i, ref := range f.Compare {
		p, err := f.policy(ref)
		if err != nil {
			return nil, fields.Blame(fmt.Sprintf("compare[%d]", i), err)
		}
		all = append(all, p)
	}
	if len(f.Compare) == 0 {
		for _, name := range policyNames(f.Policies) {
			p, err := f.policy(name)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}
