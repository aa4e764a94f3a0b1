package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
)

// variant is a study with one value of the swept field. Without a sweep, the value is empty.
type variant struct {
	value string
	study study
}

// vary returns the variants of a sweep, and the field that they differ in.
func (s study) vary(sweep string) (field string, all []variant, err error) {
	if sweep == "" {
		return "", []variant{{study: s}}, nil
	}
	field, text, ok := strings.Cut(sweep, "=")
	if !ok {
		return "", nil, fmt.Errorf("--sweep %q has no values: want for example attempts=1..5", sweep)
	}
	values, err := sweepValues(text)
	if err != nil {
		return "", nil, fmt.Errorf("--sweep %s: %w", field, err)
	}
	for _, value := range values {
		v := variant{value, s.clone()}
		if err := v.study.set("--sweep", []string{field + "=" + value}); err != nil {
			return "", nil, err
		}
		all = append(all, v)
	}
	return field, all, nil
}

// clone returns a study that can be changed without changing s.
func (s study) clone() study {
	c := &s.scenario
	c.Layers, c.Clients.Profile = slices.Clone(c.Layers), slices.Clone(c.Clients.Profile)
	c.Server.Windows = slices.Clone(c.Server.Windows)
	s.policies, s.fields = slices.Clone(s.policies), s.fields.Clone()
	return s
}

// set sets fields. Each text is a path=value from a flag. The path is that of a field of the
// scenario, or otherwise of all policies.
func (s *study) set(flag string, all []string) error {
	var paths []string
	for _, text := range all {
		path, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%s %q has no value: want for example server.workers=5", flag, text)
		}
		if err := s.setOne(flag, path, value); err != nil {
			return fmt.Errorf("%s %w", flag, err)
		}
		paths = append(paths, path)
	}
	s.scenario.Clients = settle(s.scenario.Clients, func(path string) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			return p == path || strings.HasPrefix(p, path+".")
		})
	})
	// The check comes last: a new first delay may exceed the longest one until that is set, too.
	for _, p := range s.policies {
		if _, err := p.spec.Build(p.name); err != nil && len(all) > 0 {
			return s.blamePolicy(p, "", err)
		}
	}
	return nil
}

func (s *study) setOne(flag, path, value string) error {
	name := path[:max(strings.IndexAny(path+".", ".["), 0)]
	ours, theirs := strictjson.Names(&s.scenario), strictjson.Names(&policyfile.Policy{})
	if err := s.give(path, flag+" "+path); err != nil {
		return err
	}
	switch {
	case name == "hedge":
		return s.setHedge(path, value)
	case slices.Contains(ours, name):
		return strictjson.Set(&s.scenario, path, value)
	case !slices.Contains(theirs, name):
		return fmt.Errorf("%s: there is no such field: %s", shown(path),
			strictjson.Hint(name, slices.Concat(ours, []string{"hedge"}, theirs)))
	}
	for i := range s.policies {
		p := &s.policies[i]
		spec, err := copied(p.spec)
		if err == nil {
			err = strictjson.Set(&spec, path, value)
		}
		if err != nil {
			return err
		}
		p.spec = spec
		if p.path != "" {
			s.fields.Give(p.path+"."+path, flag+" "+path)
		}
	}
	return nil
}

// give records the flag that set a field. A second one is an error, because the first would have no
// effect.
func (s *study) give(path, source string) error {
	if first := s.fields.Given(path); first != "" {
		return fmt.Errorf("%s: already set by %s: want one of them", path, first)
	}
	s.fields.Give(path, source)
	return nil
}

// setHedge sets a field of a new hedge, because studies may share the old one.
func (s *study) setHedge(path, value string) error {
	f := struct{ Hedge *hedgeFile }{&hedgeFile{}}
	if s.hedge != nil {
		*f.Hedge = *s.hedge
	}
	err := strictjson.Set(&f, path, value)
	s.hedge = f.Hedge
	return err
}

// copied returns a copy of a policy that shares nothing with it.
func copied(spec policyfile.Policy) (policyfile.Policy, error) {
	const any = "policy"
	data, err := policyfile.Marshal(&policyfile.File{
		Policies: map[string]policyfile.Policy{any: spec},
	})
	if err != nil {
		return spec, err
	}
	file, err := policyfile.Parse(any, data)
	if err != nil {
		return spec, err
	}
	return file.Policies[any], nil
}

// maxValues is the largest number of values in a sweep. A chart has no space for more.
const maxValues = 100

// sweepValues reads 1..5, 0..1/0.25, 100ms..1s/100ms, or a list with commas.
func sweepValues(text string) ([]string, error) {
	first, rest, ok := strings.Cut(text, "..")
	if !ok {
		values := strings.Split(text, ",")
		if slices.Contains(values, "") || len(values) > maxValues {
			return nil, fmt.Errorf("%q is not a list of 1 to %d values: want for example 1,2,5 or 1..5",
				text, maxValues)
		}
		return values, nil
	}
	last, step, ok := strings.Cut(rest, "/")
	if !ok {
		step = "1"
	}
	ends, isTime, err := numbersOf(first, last, step)
	if err != nil {
		return nil, err
	}
	from, to, by := ends[0], ends[1], ends[2]
	n := math.Floor((to-from)/by + 1e-9)
	if !(by > 0 && to >= from && n < maxValues) {
		return nil, fmt.Errorf("%q is not a range of 1 to %d values: want for example 1..5 or "+
			"100ms..1s/100ms", text, maxValues)
	}
	var values []string
	for i := 0.0; i <= n; i++ {
		v := from + i*by
		if isTime {
			values = append(values, time.Duration(math.Round(v)).String())
		} else {
			values = append(values, strconv.FormatFloat(v, 'g', 10, 64))
		}
	}
	return values, nil
}

// numbersOf parses numbers, or durations as nanoseconds. A mixture is an error.
func numbersOf(texts ...string) (all []float64, isTime bool, err error) {
	times := 0
	for _, text := range texts {
		v, err := strconv.ParseFloat(text, 64)
		if d, wrong := time.ParseDuration(text); err != nil && wrong == nil {
			v, err, times = float64(d), nil, times+1
		}
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, false, fmt.Errorf("%q is neither a number nor a duration", text)
		}
		all = append(all, v)
	}
	if times != 0 && times != len(texts) {
		return nil, false, errors.New("a range of durations needs a duration as its step: want for " +
			"example 100ms..1s/100ms")
	}
	return all, times > 0, nil
}
