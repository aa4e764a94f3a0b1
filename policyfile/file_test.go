package policyfile_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/preset"
)

// parse reads one policy, called ocr, from its fields.
func parse(fields string) (*rebound.Policy, error) {
	f, err := policyfile.Parse("p.json", []byte(`{"policies": {"ocr": {`+fields+`}}}`))
	if err != nil {
		return nil, err
	}
	return f.Policy("ocr")
}

func TestFields(t *testing.T) {
	ms := time.Millisecond
	for _, row := range []struct {
		fields string
		want   *rebound.Policy
	}{
		{``, &rebound.Policy{}},
		{`"attempts": 7`, &rebound.Policy{Attempts: 7}},
		{`"attempts": "unlimited"`, &rebound.Policy{Attempts: rebound.Unlimited}},
		{`"max_elapsed": "1m30s", "attempt_timeout": "10s", "max_retry_after": "5m"`,
			&rebound.Policy{MaxElapsed: 90 * time.Second, AttemptTimeout: 10 * time.Second,
				MaxRetryAfter: 5 * time.Minute}},
		{`"non_idempotent": true`, &rebound.Policy{NonIdempotent: true}},
		{`"budget": {"unlimited": true}`, &rebound.Policy{Budget: budget.Unlimited}},
		{`"budget": {"capacity": 20, "deposit": 0.2, "refill": 1}`,
			&rebound.Policy{Budget: &budget.Budget{Capacity: 20, Deposit: 0.2, Refill: 1}}},
		{`"breaker": {}`, &rebound.Policy{Breaker: &breaker.Breaker{Name: "ocr"}}},
		{`"breaker": {"name": "b", "rate": 0.5, "min_calls": 20, "window": "1m", "slow_after": "1s",
			"slow_rate": 0.8, "cooldown": "30s", "cooldown_jitter": 0.1, "probes": 2, "failures": 3}`,
			&rebound.Policy{Breaker: &breaker.Breaker{Name: "b", Failures: 3, Rate: 0.5, MinCalls: 20,
				Window: time.Minute, SlowAfter: time.Second, SlowRate: 0.8,
				Cooldown: 30 * time.Second, CooldownJitter: 0.1, Probes: 2}}},
		{`"breaker": {"rate": 0.5, "window_calls": 20, "cooldown": "30s", "max_cooldown": "10m",
			"probes": 3, "shadow": true}`,
			&rebound.Policy{Breaker: &breaker.Breaker{Name: "ocr", Rate: 0.5, WindowCalls: 20,
				Cooldown: 30 * time.Second, MaxCooldown: 10 * time.Minute, Probes: 3, Shadow: true}}},
		{`"backoff": {"kind": "constant", "base": "200ms"}`,
			&rebound.Policy{Backoff: backoff.Constant(200 * ms)}},
		{`"backoff": {"kind": "linear", "base": "200ms", "step": "50ms", "max": "1s", "jitter": "none"}`,
			&rebound.Policy{Backoff: backoff.Linear{Base: 200 * ms, Step: 50 * ms, Max: time.Second,
				Jitter: backoff.None()}}},
		{`"backoff": {"base": "200ms", "factor": 3, "max": "1s", "jitter": "proportional:0.25"}`,
			&rebound.Policy{Backoff: backoff.Exponential{Base: 200 * ms, Factor: 3, Max: time.Second,
				Jitter: backoff.Proportional(0.25)}}},
		{`"backoff": {"kind": "fibonacci", "jitter": "equal"}`,
			&rebound.Policy{Backoff: backoff.Fibonacci{Jitter: backoff.Equal()}}},
		{`"backoff": {"kind": "decorrelated", "base": "1s", "low": 1.3, "high": 2}`,
			&rebound.Policy{Backoff: backoff.Decorrelated{Base: time.Second, Low: 1.3, High: 2}}},
		{`"backoff": {"min": "500ms", "jitter": "none"},
			"throttled": {"kind": "linear", "min": "3s", "jitter": "none"}`,
			&rebound.Policy{Backoff: backoff.Exponential{Min: 500 * ms, Jitter: backoff.None()},
				Throttled: backoff.Linear{Min: 3 * time.Second, Jitter: backoff.None()}}},
		{`"backoff": {"kind": "fibonacci", "min": "3s", "jitter": "equal"},
			"throttled": {"kind": "decorrelated", "min": "3s"}`,
			&rebound.Policy{Backoff: backoff.Fibonacci{Min: 3 * time.Second, Jitter: backoff.Equal()},
				Throttled: backoff.Decorrelated{Min: 3 * time.Second}}},
		{`"backoff": {"kind": "steps", "delays": ["0s", "1s", "1m"], "jitter": "none"}`,
			&rebound.Policy{Backoff: backoff.Steps{
				Delays: []time.Duration{0, time.Second, time.Minute}, Jitter: backoff.None()}}},
		{`"throttled": {"jitter": "0.5..1.5"}`, &rebound.Policy{
			Throttled: backoff.Exponential{Jitter: backoff.Jitter{Low: 0.5, High: 1.5}}}},
		{`"throttled": {"jitter": "full"}`, &rebound.Policy{
			Throttled: backoff.Exponential{Jitter: backoff.Full()}}},
	} {
		checkFields(t, row.fields, row.want)
	}
}

func checkFields(t *testing.T, fields string, want *rebound.Policy) {
	t.Helper()
	got, err := parse(fields)
	want.Name = "ocr"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, %v, want %+v", fields, got, err, want)
	}
}

func TestGates(t *testing.T) {
	for _, row := range []struct {
		fields string
		want   *rebound.Policy
	}{
		{`"gates": [{"rate": {"n": 500, "per": "1m", "burst": 2, "wait": "1s", "name": "r"}},
			{"throttle": {"k": 1.5, "window": "1m", "min_calls": 20}},
			{"concurrency": {"max": 50, "queue": 100, "wait": "1s"}},
			{"adaptive": {"initial": 5, "min": 2, "max": 9, "queue": 1, "wait": "2s", "target": "1s",
				"slow_start": true}}]`,
			&rebound.Policy{Gates: []gate.Gate{
				&limit.Rate{Name: "r", N: 500, Per: time.Minute, Burst: 2, Wait: time.Second},
				&limit.Throttle{Name: "ocr", K: 1.5, Window: time.Minute, MinCalls: 20},
				&limit.Concurrency{Name: "ocr", Max: 50, Queue: 100, Wait: time.Second},
				&limit.Adaptive{Name: "ocr", Initial: 5, Min: 2, Max: 9, Queue: 1,
					Wait: 2 * time.Second, Target: time.Second, SlowStart: true},
			}}},
		{`"gates": [{"concurrency": {}}, {"rate": {"n": 0.5}}]`,
			&rebound.Policy{Gates: []gate.Gate{
				&limit.Concurrency{Name: "ocr"}, &limit.Rate{Name: "ocr", N: 0.5},
			}}},
		{`"gates": []`, &rebound.Policy{}},
	} {
		checkFields(t, row.fields, row.want)
	}
}

// Every preset can be written to a file. The policy from the file has the same delays, and retries
// the same failures.
func TestPresets(t *testing.T) {
	file := policyfile.Presets()
	presets := []*rebound.Policy{
		preset.Default(), preset.Aggressive(), preset.RateLimit(), preset.Conservative(),
	}
	if got := len(file.Names()); got != len(presets) {
		t.Errorf("got %d presets in the file, want %d", got, len(presets))
	}
	for _, want := range presets {
		got, err := file.Policy(want.Name)
		if err != nil {
			t.Errorf("%s: %v", want.Name, err)
			continue
		}
		compareFailures(t, got, want)
		got, want := got.Clone(), want.Clone()
		got.RetryIf, want.RetryIf = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// compareFailures compares both policies for all sorts of failures.
func compareFailures(t *testing.T, p, want *rebound.Policy) {
	t.Helper()
	for _, err := range []error{
		errors.New("unheard of"), syscall.ECONNREFUSED, syscall.ENOSPC, fs.ErrNotExist,
		context.DeadlineExceeded, os.ErrDeadlineExceeded, rebound.Permanent(syscall.ECONNRESET),
		rebound.Transient(errors.New("marked")), rebound.RetryAfter(errors.New("slow"), time.Second),
	} {
		for kind := fault.None; kind <= fault.Canceled; kind++ {
			f := fault.Of(err)
			f.Kind = kind
			s := rebound.State{Attempt: 1, U: 0.5}
			if got, want := p.Decide(s, f), want.Decide(s, f); got != want {
				t.Errorf("%s, %v of kind %v: got %+v, want %+v", p.Name, err, kind, got, want)
			}
		}
	}
}

func TestMatchesAreKindsToo(t *testing.T) {
	p, err := parse(`"retry": ["unknown", "overloaded"], "breaker": {"counts": ["rate_limited"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for kind := fault.None; kind <= fault.Canceled; kind++ {
		f := fault.Fault{Kind: kind, Err: context.DeadlineExceeded}
		if got, want := p.RetryIf(f), kind == fault.Unknown || kind == fault.Overloaded; got != want {
			t.Errorf("retry %v: got %t, want %t", kind, got, want)
		}
		if got, want := p.Breaker.Counts(f), kind == fault.RateLimited; got != want {
			t.Errorf("counts %v: got %t, want %t", kind, got, want)
		}
	}
}

// The error of a mistake has its line, its field and the valid values.
func TestMistakes(t *testing.T) {
	for _, row := range []struct{ fields, want string }{
		{`"backof": {}`, `policies.ocr.backof: there is no such field: did you mean "backoff"?`},
		{`"attempt-timeout": "1s"`, `did you mean "attempt_timeout"?`},
		{`"colour": 1`, `policies.ocr.colour: there is no such field: want one of attempt_timeout,`},
		{`"attempts": 0`, `policies.ocr.attempts: "0" is not a number of attempts: want 1 or more, or`},
		{`"attempts": 1.5`, `"1.5" is not a number of attempts: want 1 or more`},
		{`"attempts": null`, `policies.ocr.attempts: want a text, got nothing: leave the field out`},
		{`"attempts": 3, "attempts": 4`, `it is set twice, first in line 2: want one`},
		{`"attempts": "+5"`, `policies.ocr.attempts: want +5 without quotes`},
		{`"attempts": "05"`, `policies.ocr.attempts: want 05 without quotes`},
		{`"max_elapsed": 5`, `"5" is not a duration: want a number and a unit, such as 500ms or 1m30s`},
		{`"max_elapsed": "-5s"`, `"-5s" is not a duration`},
		{`"max_elapsed": ["5s"]`, `policies.ocr.max_elapsed: want a text, got a list`},
		{`"backoff": {"kind": "exponental"}`, `policies.ocr.backoff.kind: "exponental" is not a kind ` +
			`of backoff: did you mean "exponential"?`},
		{`"backoff": {"kind": "linear", "factor": 2}`,
			`policies.ocr.backoff.factor is set: the kind linear does not have it`},
		{`"backoff": {"base": "2m", "max": "1m"}`, `policies.ocr.backoff.base is 2m0s, ` +
			`above its max of 1m0s`},
		{`"backoff": {"jitter": "some"}`,
			`policies.ocr.backoff.jitter: "some" is not a jitter: want full`},
		{`"backoff": {"jitter": "additive:-1"}`, `"additive:-1" is not a jitter`},
		{`"backoff": {"jitter": ""}`, `policies.ocr.backoff.jitter: an empty text would mean the ` +
			`default, which is full`},
		{`"breaker": {"name": ""}`, `policies.ocr.breaker.name: an empty text would mean the ` +
			`default, which is the policy's name`},
		{`"backoff": {"jitter": "2..1"}`, `"2..1" is not a jitter`},
		{`"backoff": {"factor": "2"}`, `policies.ocr.backoff.factor: want a number, got "2"`},
		{`"backoff": []`, `policies.ocr.backoff: want an object of fields, got a list`},
		{`"retry": "io"`, `policies.ocr.retry: want a list, got "io"`},
		{`"retry": ["timeout", "conection"]`, `policies.ocr.retry[1]: "conection" is not a class of ` +
			`failures: did you mean "connection"?`},
		{`"non_idempotent": "yes"`, `want true or false, got "yes"`},
		{`"budget": {"capacity": 0.5}`, `policies.ocr.budget.capacity is 0.5: want 1 or more`},
		{`"budget": {"unlimited": true, "refill": 1}`, `policies.ocr.budget.unlimited is set: want`},
		{`"breaker": {"slow_rate": 0.5}`, `policies.ocr.breaker.slow_after is 0s: it must be set`},
		{`"breaker": {"window": "1m", "window_calls": 100}`,
			`policies.ocr.breaker.window_calls is 100: it must be 0, because window is set`},
		{`"breaker": {"window_calls": 100, "min_calls": 101}`,
			`policies.ocr.breaker.min_calls is 101: it must be at most window_calls (100)`},
		{`"breaker": {"cooldown": "5m", "max_cooldown": "1m"}`, `policies.ocr.breaker.max_cooldown ` +
			`is 1m0s: it must be 0 (for no growth), or at least cooldown (5m0s)`},
		{`"breaker": {"shadow": "yes"}`, `policies.ocr.breaker.shadow: want true or false`},
		{`"breaker": {"failures": 1.5}`, `breaker.failures: want a whole number in its range, got 1.5`},
		{`"breaker": {"name": 5}`, `breaker.name: want a text in quotes, got 5`},
		{`"attempt_timeout": "2s", "max_elapsed": "1s"`, `policies.ocr.attempt_timeout is 2s, ` +
			`which is more than the 1s of max_elapsed`},
	} {
		checkMistake(t, row.fields, row.want)
	}
}

func checkMistake(t *testing.T, fields, want string) {
	t.Helper()
	_, err := parse("\n" + fields)
	var e *policyfile.Error
	if !errors.As(err, &e) || e.File != "p.json" || e.Line != 2 ||
		!strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("%s: got %v, want line 2 of p.json, and %q", fields, err, want)
	}
}

func TestMistakesInGates(t *testing.T) {
	for _, row := range []struct{ fields, want string }{
		{`"gates": [{}]`, `policies.ocr.gates[0] is empty: want one of concurrency, rate, `},
		{`"gates": [{"rate": {"n": 1}, "concurrency": {}}]`,
			`policies.ocr.gates[0] is concurrency and rate: want one in each element`},
		{`"gates": [{"concurrency": {}}, {"rate": {}}]`,
			`policies.ocr.gates[1].rate.n is 0: want the number of attempts in each per`},
		{`"gates": [{"rate": {"n": 0}}]`, `policies.ocr.gates[0].rate.n is 0: want the number of `},
		{`"gates": [{"rates": {}}]`, `policies.ocr.gates[0].rates: there is no such field: did you ` +
			`mean "rate"?`},
		{`"gates": {"rate": {"n": 1}}`, `policies.ocr.gates: want a list, got an object`},
		{`"gates": [{"concurrency": {"wait": "1s"}}]`,
			`policies.ocr.gates[0].concurrency.wait is 1s: want a queue`},
		{`"gates": [{"adaptive": {"name": "a", "min": 5, "max": 4}}]`,
			`policies.ocr.gates[0].adaptive.min is 5: want no more than max`},
		{`"gates": [{"throttle": {"k": 0.5}}]`, `policies.ocr.gates[0].throttle.k is 0.5: want 1`},
	} {
		checkMistake(t, row.fields, row.want)
	}
}

func TestMistakesInBackoffs(t *testing.T) {
	for _, row := range []struct{ fields, want string }{
		{`"backoff": {"min": "1m"}`, `policies.ocr.backoff.min is 1m0s, above its max of 30s`},
		{`"backoff": {"kind": "constant", "min": "1s"}`,
			`policies.ocr.backoff.min is set: the kind constant does not have it`},
		{`"backoff": {"kind": "steps"}`, `policies.ocr.backoff.delays is empty: want at least one`},
		{`"backoff": {"kind": "steps", "delays": []}`, `policies.ocr.backoff.delays: an empty list`},
		{`"backoff": {"kind": "steps", "delays": ["1s", "soon"]}`,
			`policies.ocr.backoff.delays[1]: "soon" is not a duration`},
		{`"backoff": {"kind": "steps", "delays": ["1s", 5]}`, `backoff.delays[1]: "5" is not a duration`},
		{`"backoff": {"kind": "steps", "base": "1s", "delays": ["1s"]}`,
			`policies.ocr.backoff.base is set: the kind steps does not have it`},
		{`"backoff": {"kind": "steps", "max": "1s", "delays": ["1s"]}`,
			`policies.ocr.backoff.max is set: the kind steps does not have it`},
		{`"backoff": {"delays": ["1s"]}`,
			`policies.ocr.backoff.delays is set: the kind exponential does not have it`},
	} {
		checkMistake(t, row.fields, row.want)
	}
}

// A policy's name is not confused with the path of another policy's field.
func TestNamesLikePaths(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{`{"a.max_retry_after": {}, "a": {}}`, "<nil>"},
		{`{"a.retry": {}, "a": {"attempts": 2}}`, "<nil>"},
		{"{\"a\": {},\n\"a.budget.capacity\": {\"attempts\": 0}}", `p.json:2: policies.` +
			`"a.budget.capacity".attempts: "0" is not a number of attempts: want 1 or more, or "unlimited"`},
		{"{\"a\":\n{\"budget\": {}},\n\"a.budget\": {\n\"budget\": {\"capacity\": 0.5}}}",
			`p.json:4: policies."a.budget".budget.capacity is 0.5: want 1 or more, or 0 for 10`},
		{`{"": {"attempts": 2}}`, `p.json:1: policies."": want a name`},
		{`{"": {"attempts": 0}}`, `p.json:1: policies."".attempts: "0" is not a number of attempts: ` +
			`want 1 or more, or "unlimited"`},
	} {
		_, err := policyfile.Parse("p.json", []byte(`{"policies": `+row.text+`}`))
		if got := fmt.Sprint(err); got != row.want {
			t.Errorf("%s: got %s, want %s", row.text, got, row.want)
		}
	}
}

func TestMistakesInTheWhole(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{``, `p.json:1: the file ends too early`},
		{"{\n\"policies\": {}}", `p.json:2: policies: there are none: want at least one`},
		{`{}`, `p.json:1: policies: there are none: want at least one`},
		{`{"policies": {"a": {}}}` + "\n\n7", `p.json:3: there is more after the value`},
		{"{\"policies\": {\n\"a\": {}", `p.json:2: policies: the file ends too early`},
		{"{\"policies\": {\n\n\"a\": x", `p.json:3: policies.a: this is not JSON: invalid character 'x'`},
		{"[]", `p.json:1: want an object of fields, got a list`},
		{`{"policy": {}}`, `p.json:1: policy: there is no such field: did you mean "policies"?`},
	} {
		_, err := policyfile.Parse("p.json", []byte(row.text))
		if !strings.HasPrefix(fmt.Sprint(err), row.want) {
			t.Errorf("%q: got %v, want %s", row.text, err, row.want)
		}
	}
}

func TestNames(t *testing.T) {
	two := policyfile.Presets()
	one := &policyfile.File{Policies: map[string]policyfile.Policy{"ocr": {Attempts: 4}}}
	for _, row := range []struct {
		file       *policyfile.File
		name, want string
	}{
		{one, "", "<nil>"},
		{two, "agressive", `there is no policy "agressive": did you mean "aggressive"?`},
		{two, "", `there is no policy "": want one of aggressive, conservative, default, rate-limit`},
	} {
		p, err := row.file.Policy(row.name)
		if got := fmt.Sprint(err); got != row.want || (err == nil) != (p != nil) {
			t.Errorf("%q: got %+v, %v, want %s", row.name, p, err, row.want)
		}
	}
}

func TestLoadReadsWhatMarshalWrites(t *testing.T) {
	want := policyfile.Presets()
	want.Schema = "schema.json"
	want.Policies["all"] = policyfile.Policy{
		Attempts: policyfile.Attempts(rebound.Unlimited),
		Backoff:  &policyfile.Backoff{Kind: "steps", Delays: []policyfile.Duration{0, 1e9}},
		Throttled: &policyfile.Backoff{Kind: "linear", Step: policyfile.Duration(time.Second),
			Min: policyfile.Duration(time.Millisecond)},
		Breaker: &policyfile.Breaker{Counts: []policyfile.Match{"timeout"}, WindowCalls: 50,
			MaxCooldown: policyfile.Duration(time.Hour), Shadow: true},
		Budget: &policyfile.Budget{Unlimited: true},
		Gates: []policyfile.Gate{
			{Rate: &policyfile.Rate{N: 1.5, Wait: policyfile.Duration(time.Second)}},
			{Throttle: &policyfile.Throttle{}},
			{Adaptive: &policyfile.Adaptive{Name: "a"}},
			{Concurrency: &policyfile.Concurrency{Max: 3}},
		},
	}
	data, err := policyfile.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := policyfile.Load(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v, from\n%s", got, err, want, data)
	}
	if _, err := policyfile.Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error of the file system", err)
	}
}

// A policy built by hand, not read, is checked as well.
func TestBuildChecks(t *testing.T) {
	for _, row := range []struct {
		policy policyfile.Policy
		want   string
	}{
		{policyfile.Policy{Retry: []policyfile.Match{"io", "tiemout"}},
			`Retry[1]: "tiemout" is not a class of failures: did you mean "timeout"?`},
		{policyfile.Policy{Backoff: &policyfile.Backoff{Kind: "quadratic"}},
			`Backoff.Kind: "quadratic" is not a kind of backoff: want one of constant,`},
		{policyfile.Policy{Throttled: &policyfile.Backoff{Jitter: "most"}},
			`Throttled.Jitter: "most" is not a jitter`},
		{policyfile.Policy{Attempts: -2}, `rebound: Policy.Attempts is -2`},
	} {
		if _, err := row.policy.Build("x"); !strings.HasPrefix(fmt.Sprint(err), row.want) {
			t.Errorf("%+v: got %v, want %s", row.policy, err, row.want)
		}
	}
}

// In a file a zero that would mean a default, and a number in quotes, are errors that name the line
// and the field.
func TestExplicitZeros(t *testing.T) {
	for field, texts := range map[string][]string{
		"attempts":          {`"attempts": 0`, `"attempts": "5"`, `"attempts": "0"`},
		"max_retry_after":   {`"max_retry_after": "0s"`},
		"retry":             {`"retry": []`},
		"backoff.base":      {`"backoff": {"base": "0s"}`, `"backoff": {"kind": "linear", "base": "0s"}`},
		"backoff.factor":    {`"backoff": {"factor": 0}`},
		"backoff.max":       {`"backoff": {"max": "0s"}`},
		"backoff.step":      {`"backoff": {"kind": "linear", "step": "0s"}`},
		"backoff.low":       {`"backoff": {"kind": "decorrelated", "low": 0, "high": 2}`},
		"throttled.base":    {`"throttled": {"base": "0ms"}`},
		"budget.capacity":   {`"budget": {"capacity": 0}`},
		"budget.deposit":    {`"budget": {"deposit": 0}`, `"budget": {"deposit": 0.0}`},
		"budget.refill":     {`"budget": {"refill": 0, "deposit": 1}`},
		"breaker.failures":  {`"breaker": {"failures": 0}`},
		"breaker.cooldown":  {`"breaker": {"cooldown": "0s"}`},
		"breaker.window":    {`"breaker": {"rate": 0.5, "window": "0s"}`},
		"breaker.probes":    {`"breaker": {"probes": 0}`},
		"breaker.min_calls": {`"breaker": {"rate": 0.5, "min_calls": 0}`},
		"breaker.counts":    {`"breaker": {"counts": []}`},

		"gates[0].concurrency.max":  {`"gates": [{"concurrency": {"max": 0}}]`},
		"gates[0].concurrency.wait": {`"gates": [{"concurrency": {"queue": 1, "wait": "0s"}}]`},
		"gates[0].rate.n":           {`"gates": [{"rate": {"n": "5"}}]`},
		"gates[0].rate.per":         {`"gates": [{"rate": {"n": 1, "per": "0s"}}]`},
		"gates[0].rate.burst":       {`"gates": [{"rate": {"n": 1, "burst": 0}}]`},
		"gates[1].adaptive.initial": {`"gates": [{"adaptive": {}}, {"adaptive": {"initial": 0}}]`},
		"gates[0].throttle.k":       {`"gates": [{"throttle": {"k": 0}}]`},
	} {
		for _, text := range texts {
			_, err := parse(text)
			if want := "p.json:1: policies.ocr." + field + ": "; err == nil ||
				!strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: got %v, want an error that begins with %q", text, err, want)
			}
		}
	}
	for _, text := range []string{
		`"attempts": 1`, `"attempts": "unlimited"`, `"max_elapsed": "0s"`, `"attempt_timeout": "0s"`,
		`"non_idempotent": false`, `"backoff": {"kind": "constant", "base": "0s"}`,
		`"gates": [{"rate": {"n": 1, "wait": "0s"}}, {"concurrency": {"queue": 0}}]`,
		`"breaker": {"rate": 0, "slow_after": "0s", "slow_rate": 0, "cooldown_jitter": 0}`,
		`"breaker": {"window_calls": 0, "max_cooldown": "0s", "shadow": false}`,
	} {
		if _, err := parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever the text, Parse returns policies that are valid or an error with a line.
func FuzzParse(f *testing.F) {
	presets, err := policyfile.Marshal(policyfile.Presets())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(presets)
	f.Add([]byte(`{"policies": {"a": {"backoff": {"kind": "linear", "jitter": "1..2"}}}}`))
	f.Add([]byte(`{"policies": {"a": {"breaker": {"counts": ["io"]}, "budget": {"capacity": 1}}}`))
	f.Add([]byte(`{"policies": {"a": {"gates": [{"rate": {"n": 1}}, {"throttle": {}}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := policyfile.Parse("f", data)
		var e *policyfile.Error
		if err != nil {
			if lines := strings.Count(string(data), "\n") + 1; !errors.As(err, &e) ||
				e.Line < 1 || e.Line > lines {
				t.Errorf("got %v, want an Error with a line from 1 to %d", err, lines)
			}
			return
		}
		for _, name := range file.Names() {
			if p, err := file.Policy(name); err != nil || p.Validate() != nil {
				t.Errorf("%q: got %+v, %v, want a valid policy", name, p, err)
			}
		}
		written, err := policyfile.Marshal(file)
		again, err2 := policyfile.Parse("again", written)
		if err != nil || err2 != nil || !reflect.DeepEqual(again, file) {
			t.Errorf("got %+v (%v, %v) back, want %+v, from %s", again, err, err2, file, written)
		}
	})
}
