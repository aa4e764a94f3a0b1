package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/rebound-go/rebound/cmd/rebound/chart"
	"github.com/rebound-go/rebound/sim"
)

// played holds the results of a variant: one for each seed, with all policies.
type played struct {
	value string
	runs  []sim.Result
}

// names returns the names of the policies as tables show them.
func (p *played) names() (all []string) {
	for i := range p.runs[0].Policies {
		all = append(all, shown(p.runs[0].Policies[i].Policy))
	}
	return all
}

// of returns the result of one policy in each run.
func (p *played) of(policy int) (all []sim.PolicyResult) {
	for i := range p.runs {
		all = append(all, p.runs[i].Policies[policy])
	}
	return all
}

// play simulates each variant with as many seeds as runs. It shows its progress on a terminal.
func play(ctx context.Context, all []variant, runs int, stderr io.Writer) ([]played, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	jobs := 0
	results := make([]played, len(all))
	for i, v := range all {
		results[i] = played{v.value, make([]sim.Result, runs)}
		jobs += runs * len(v.study.policies)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := newProgress(stderr, jobs)
	defer p.end()
	var wait sync.WaitGroup
	permits := make(chan bool, runtime.GOMAXPROCS(0))
	for i, v := range all {
		for run := range runs {
			permits <- true
			wait.Go(func() {
				defer func() { <-permits }()
				r, err := v.study.run(ctx, run, p)
				if err != nil {
					stop(err)
				}
				results[i].runs[run] = r
			})
		}
	}
	wait.Wait()
	return results, context.Cause(ctx)
}

// run simulates the study with one seed, one policy after the other.
func (s study) run(ctx context.Context, run int, p *progress) (all sim.Result, err error) {
	for _, n := range s.policies {
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		policy, err := n.build()
		if err != nil {
			return all, err
		}
		p.begin(shown(n.name))
		one := s.scenario
		one.Seed += uint64(run)
		one.Hedge = s.hedge.hedge()
		one.Policies = append(one.Policies, policy)
		r, err := sim.Run(one)
		if err != nil {
			return all, s.blame(n, err)
		}
		p.finish()
		all.Scenario, all.TroubleEnd = r.Scenario, r.TroubleEnd
		all.Policies = append(all.Policies, r.Policies...)
	}
	return all, nil
}

// writeResults prints one result as it is, and several as a list.
func writeResults(out io.Writer, all []played) error {
	if len(all) == 1 && len(all[0].runs) == 1 && all[0].value == "" {
		return json.NewEncoder(out).Encode(all[0].runs[0])
	}
	type line struct {
		Value string `json:",omitempty"` // of the swept field
		sim.Result
	}
	var lines []line
	for _, v := range all {
		for _, r := range v.runs {
			lines = append(lines, line{v.value, r})
		}
	}
	return json.NewEncoder(out).Encode(lines)
}

// drawAll draws the mean of all runs over time, or a sweep over its values.
func drawAll(path, field string, all []played) error {
	names := all[0].names()
	first := all[0].runs[0]
	title, about := shown(first.Scenario.Name), escaped(first.Scenario.About)
	if field == "" {
		r := mean(all[0].runs)
		r.Scenario.Name, r.Scenario.About = title, about
		for i := range r.Policies {
			r.Policies[i].Policy = names[i]
		}
		return chart.Draw(path, r)
	}
	s := chart.Sweep{Title: title, About: about, Field: field}
	for _, v := range all {
		s.Values = append(s.Values, v.value)
	}
	for i, name := range names {
		line := chart.Line{Name: name}
		for j := range all {
			line.Points = append(line.Points, all[j].of(i))
		}
		s.Lines = append(s.Lines, line)
	}
	return chart.DrawSweep(path, s)
}

// mean returns a result whose counts and time series are the means of the runs.
func mean(runs []sim.Result) sim.Result {
	r := runs[0]
	r.Policies = slices.Clone(r.Policies)
	for i := range r.Policies {
		p := &r.Policies[i]
		p.Bins = slices.Clone(p.Bins)
		average(&p.Counts, runs, func(r *sim.Result) any { return r.Policies[i].Counts })
		for j := range p.Bins {
			average(&p.Bins[j], runs, func(r *sim.Result) any { return r.Policies[i].Bins[j] })
		}
	}
	return r
}

// average sets the numbers of a struct to the means over the runs.
func average(to any, runs []sim.Result, of func(*sim.Result) any) {
	var all []reflect.Value
	for i := range runs {
		all = append(all, reflect.ValueOf(of(&runs[i])))
	}
	averageValue(reflect.ValueOf(to).Elem(), all)
}

func averageValue(to reflect.Value, all []reflect.Value) {
	if to.Kind() == reflect.Struct {
		for i := range to.NumField() {
			fields := make([]reflect.Value, len(all))
			for j, v := range all {
				fields[j] = v.Field(i)
			}
			averageValue(to.Field(i), fields)
		}
		return
	}
	sum := 0.0
	for _, v := range all {
		sum += v.Convert(reflect.TypeFor[float64]()).Float()
	}
	m := sum / float64(len(all))
	if to.CanInt() {
		m = math.Round(m)
	}
	to.Set(reflect.ValueOf(m).Convert(to.Type()))
}
