package house_test

import (
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	goLine  = regexp.MustCompile(`(?m)^go (1\.\d+)(\.\d+)?$`)
	usedDir = regexp.MustCompile(`(?m)^\t(\.\S*)$`)
)

// goVersion returns the language version of a go.mod or go.work file, such as "1.25".
func goVersion(t *testing.T, file string) string {
	t.Helper()
	m := goLine.FindStringSubmatch(read(t, file))
	if m == nil {
		t.Fatalf("%s has no go line", file)
	}
	return m[1]
}

func read(t *testing.T, file string) string {
	t.Helper()
	enter(".")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// workspace returns the folders of the modules of go.work.
func workspace(t *testing.T) (dirs []string) {
	t.Helper()
	for _, m := range usedDir.FindAllStringSubmatch(read(t, "go.work"), -1) {
		dirs = append(dirs, m[1])
	}
	if len(dirs) == 0 {
		t.Fatal("go.work uses no module")
	}
	return dirs
}

// The promised Go versions are those needed: go.mod's for the library, and go.work's in a clone.
func TestPromisedGoVersions(t *testing.T) {
	library, clone := goVersion(t, "go.mod"), goVersion(t, "go.work")
	command := goVersion(t, "cmd/rebound/go.mod")
	for page, promises := range map[string][]string{
		"README.md":       {"Go " + library + " or newer", "Go " + clone + " or newer"},
		"doc.go":          {"Go " + library + " or newer"},
		"docs/command.md": {"Go " + command + " or newer"},
		"scripts/test":    {"Go " + clone + " or newer"},
	} {
		for _, promise := range promises {
			if !strings.Contains(read(t, page), promise) {
				t.Errorf("%s lacks %q", page, promise)
			}
		}
	}

	newest := "go" + library
	for _, dir := range workspace(t) {
		v := "go" + goVersion(t, filepath.Join(dir, "go.mod"))
		if version.Compare(v, newest) > 0 {
			newest = v
		}
	}
	if newest != "go"+clone {
		t.Errorf("go.work has go %s, its modules need %s", clone, newest)
	}
}

// Modules need no newer Go than the root module or what they require.
func TestNeededGoVersions(t *testing.T) {
	library := goVersion(t, "go.mod")
	for _, dir := range workspace(t) {
		c := exec.Command("go", "-C", dir, "list", "-m",
			"-f", "{{if not .Main}}{{.GoVersion}}{{end}}", "all")
		c.Env = append(os.Environ(), "GOWORK=off")
		out, err := c.Output()
		if err != nil {
			t.Skipf("the modules that %s requires cannot be listed: %v", dir, err)
		}
		needed := []string{"go" + library}
		for v := range strings.FieldsSeq(string(out)) {
			needed = append(needed, version.Lang("go"+v))
		}
		most := slices.MaxFunc(needed, version.Compare)
		if got := "go" + goVersion(t, filepath.Join(dir, "go.mod")); got != most {
			t.Errorf("%s/go.mod has %s, but it needs %s", dir, got, most)
		}
	}
}

// A release checks everything before it does anything.
func TestReleaseRefuses(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	enter(".")
	for arg, want := range map[string]string{
		"0.1.0":    "want a version such as v0.1.0, not '0.1.0'",
		"v1":       "want a version such as v0.1.0, not 'v1'",
		"v2.0.0":   "v2.0.0: from v2 on, the module paths must end in /v2",
		"v0.999.0": "CHANGELOG.md has no line '## 0.999.0 (",
	} {
		out, err := exec.Command("bash", "scripts/release", arg).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("scripts/release %s: %v, %s; want %q", arg, err, out, want)
		}
	}
}

// The release finds each module of go.work whose packages or commands programs use.
func TestReleasedModules(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	enter(".")
	out, err := exec.Command("bash", "scripts/modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	released := strings.Fields(string(out))
	for _, dir := range workspace(t) {
		dir = strings.TrimPrefix(dir, "./")
		f := &sourceFile{path: dir + "/x.go"}
		want := dir != "." && (f.library() || f.room() == "cmd")
		if got := slices.Contains(released, dir); got != want {
			t.Errorf("%s: released %v, want %v", dir, got, want)
		}
	}
	if fmt.Sprint(released) == "[]" {
		t.Error("no module is released")
	}
}
