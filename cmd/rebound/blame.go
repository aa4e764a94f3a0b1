package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ofPolicy matches the start of the simulator's errors about a policy: the simulated one, or a
// layer's.
var ofPolicy = regexp.MustCompile(`^sim: Scenario\.(?:Policies\[0\]|Layers\[(\d+)\]\.Policy)`)

// blame adds a place to an error of the simulator: the line in the scenario file, or the flag that
// set the field. Fields get the names that files and flags use. p is the simulated policy.
func (s study) blame(p named, err error) error {
	m := ofPolicy.FindStringSubmatch(err.Error())
	if m == nil {
		return s.fields.Blame("", err)
	}
	place := ""
	if m[1] != "" {
		i, err := strconv.Atoi(m[1])
		if err != nil {
			panic(err) // the pattern allows only digits
		}
		p, place = s.layers[i], fmt.Sprintf("layers[%d].policy", i)
	}
	return s.blamePolicy(p, place, errors.New("Policy"+strings.TrimPrefix(err.Error(), m[0])))
}

// blamePolicy is blame for an error about a policy. place is the field that names the policy.
func (s study) blamePolicy(p named, place string, err error) error {
	if p.path != "" {
		return s.fields.Blame(p.path, err)
	}
	// The policy is not from the file, for example a preset. Flags may have changed its fields.
	err = fmt.Errorf("policy %s: %w", p.name, s.fields.Elsewhere().Blame("", err))
	if place != "" {
		return s.fields.Blame(place, err)
	}
	return err
}
