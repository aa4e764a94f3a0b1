package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
	"github.com/rebound-go/rebound/sim"
)

// page reads a page of the docs; without the repository around, there is none.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Skip(err)
	}
	return string(text)
}

// blocks returns the code blocks of one language.
func blocks(text, language string) (all []string) {
	block := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// Every terminal and file in the docs is in a transcript, or is a file that a transcript uses.
func TestDocsShowTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	files, err2 := filepath.Glob("testdata/files/*")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	var replayed strings.Builder
	for _, name := range append(names, files...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		replayed.Write(text)
	}
	for _, name := range []string{"command.md", "policyfile.md", "sim.md"} {
		text := page(t, name)
		shown := append(blocks(text, "console"), blocks(text, "yaml")...)
		for _, block := range shown {
			if !strings.Contains(replayed.String(), block) {
				t.Errorf("%s: this is in no transcript and in no file in testdata:\n%s", name, block)
			}
		}
		if len(shown) == 0 {
			t.Errorf("%s: got no blocks, want some", name)
		}
	}
}

func TestDocsNameEveryField(t *testing.T) {
	text := page(t, "policyfile.md")
	for _, typ := range []reflect.Type{
		reflect.TypeFor[policyfile.Policy](), reflect.TypeFor[policyfile.Backoff](),
		reflect.TypeFor[policyfile.Budget](), reflect.TypeFor[policyfile.Breaker](),
		reflect.TypeFor[policyfile.Gate](), reflect.TypeFor[policyfile.Concurrency](),
		reflect.TypeFor[policyfile.Rate](), reflect.TypeFor[policyfile.Adaptive](),
		reflect.TypeFor[policyfile.Throttle](),
	} {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+name) {
				t.Errorf("docs/policyfile.md does not name %s.%s", typ.Name(), name)
			}
		}
	}
}

func TestDocsNameEveryFieldOfScenarios(t *testing.T) {
	text := page(t, "sim.md")
	for _, typ := range []reflect.Type{
		reflect.TypeFor[scenarioFile](), reflect.TypeFor[sim.Scenario](), reflect.TypeFor[sim.Clients](),
		reflect.TypeFor[sim.Rate](), reflect.TypeFor[layerFile](), reflect.TypeFor[sim.Layer](),
		reflect.TypeFor[sim.Server](), reflect.TypeFor[sim.Limit](), reflect.TypeFor[sim.Window](),
		reflect.TypeFor[sim.Dist](), reflect.TypeFor[hedgeFile](),
	} {
		for i := range typ.NumField() {
			name, _ := strictjson.FieldName(typ.Field(i))
			if name != "" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("docs/sim.md does not name %s of %s", name, typ.Name())
			}
		}
	}
}

// The pictures in the docs are what the command draws today.
func TestPicturesAreCurrent(t *testing.T) {
	page(t, "command.md")
	for name, args := range map[string][]string{
		"herd.svg":       {"sim", "herd"},
		"metastable.svg": {"sim", "metastable", "--policy", "zero,no-budget"},
	} {
		fresh, golden := filepath.Join(t.TempDir(), name), filepath.Join("../../docs/img", name)
		if *update {
			fresh = golden
		}
		var stderr bytes.Buffer
		if code := run(append(args, "--plot", fresh), nil, io.Discard, &stderr); code != 0 {
			t.Fatalf("%s: got exit code %d, want 0: %s", name, code, &stderr)
		}
		got, err := os.ReadFile(fresh)
		want, err2 := os.ReadFile(golden)
		if err != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from the command's picture (%v, %v): compare them, then go test -update",
				name, err, err2)
		}
	}
}
