package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ofPolicy matches the start of the simulator's errors about a policy: the one that is simulated,
// or that of a layer.
var ofPolicy = regexp.MustCompile(`^sim: Scenario\.(?:Policies\[0\]|Layers\[(\d+)\]\.Policy)`)

// blame places an error of the simulator in the scenario's file, or at the flag that has set the
// field. The error then names fields as files and flags do. p is the policy that was simulated.
func (s study) blame(p named, err error) error {
	m := ofPolicy.FindStringSubmatch(err.Error())
	if m == nil {
		return s.fields.Blame("", err)
	}
	place := ""
	if m[1] != "" {
		i, err := strconv.Atoi(m[1])
		if err != nil {
			panic(err) // it is \d+
		}
		p, place = s.layers[i], fmt.Sprintf("layers[%d].policy", i)
	}
	return s.blamePolicy(p, place, errors.New("Policy"+strings.TrimPrefix(err.Error(), m[0])))
}

// blamePolicy is blame for an error about a policy. place is the field that refers to it.
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
