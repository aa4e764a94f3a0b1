package house_test

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// doors says which of our rooms each room of the root module may import, its tests apart, which
// may import any. A new room gets its row here. Nested modules have none: they may import any
// public room of the root module, and never each other.
var doors = map[string]string{
	"fault":       "",
	"backoff":     "",
	"internal":    "fault",
	"breaker":     "fault internal",
	"budget":      "fault internal",
	".":           "fault backoff breaker budget",
	"preset":      "rebound fault backoff breaker budget",
	"stats":       "rebound fault backoff breaker budget",
	"reboundtest": "rebound fault backoff breaker budget",
	"policyfile":  "rebound fault backoff breaker budget",
	"reboundhttp": "rebound fault backoff breaker budget",
	"reboundsql":  "rebound fault backoff breaker budget",
	"reboundslog": "rebound fault backoff breaker budget",
	"llm":         "rebound fault backoff breaker budget reboundhttp",

	"rebounddebug": "rebound fault backoff breaker budget stats",
	"sim":          "rebound fault backoff breaker budget stats",

	"examples": public,
}

// public is every room but those which are nobody's to import.
const public = "rebound fault backoff breaker budget preset stats reboundtest policyfile " +
	"reboundhttp reboundsql reboundslog llm rebounddebug sim"

func TestDoors(t *testing.T) {
	for _, f := range sourceFiles(t) {
		allowed, known := doors[f.room()]
		if f.module != "." {
			allowed, known = public, true
		}
		if !known {
			t.Errorf("%s: the room %q has no row in the table of doors",
				f.path, f.room())
		}
		for _, spec := range f.Imports {
			target, foreign := roomOf(strings.Trim(spec.Path.Value, `"`))
			switch {
			case foreign && f.module == ".":
				t.Errorf("%s:%d: imports %s: the root module has the standard library alone",
					f.path, line(spec.Pos()), spec.Path.Value)
			case target == "" || f.module == "." && f.test() || inside(f, spec.Path.Value):
			case !slices.Contains(strings.Fields(allowed), target):
				t.Errorf("%s:%d: imports %s: of our rooms it may import %q alone",
					f.path, line(spec.Pos()), spec.Path.Value, allowed)
			}
		}
	}
}

// roomOf returns the room that an import path leads to, "" for the standard library, and whether
// the path leads out of our house.
func roomOf(importPath string) (room string, foreign bool) {
	if importPath == modulePath {
		return "rebound", false
	}
	if rest, ours := strings.CutPrefix(importPath, modulePath+"/"); ours {
		room, _, _ = strings.Cut(rest, "/")
		return room, false
	}
	first, _, _ := strings.Cut(importPath, "/")
	return "", strings.Contains(first, ".")
}

// inside reports whether a file imports a package of its own nested module, or of its own example.
func inside(f *sourceFile, importPath string) bool {
	home := f.module
	if home == "." {
		home = path.Dir(f.path)
	}
	own := modulePath + "/" + home
	return home != "." && strings.HasPrefix(strings.Trim(importPath, `"`)+"/", own+"/")
}

func TestRootModuleRequiresNothing(t *testing.T) {
	var mod struct{ Require []struct{ Path string } }
	goJSON(t, &mod, "mod", "edit", "-json", "go.mod")
	if len(mod.Require) != 0 {
		t.Errorf("go.mod requires %v: want nothing; what needs it becomes a module of its own",
			mod.Require)
	}
}

// A program that has no use for HTTP, SQL, JSON or logs must not carry them: net/http alone adds
// 4 MB to it.
func TestRootPackageIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	deps := strings.Fields(string(out))
	for _, heavy := range []string{"net/http", "database/sql", "encoding/json", "log/slog"} {
		if slices.Contains(deps, heavy) {
			t.Errorf("package rebound depends on %s", heavy)
		}
	}
	if !slices.Contains(deps, modulePath) {
		t.Errorf("go list -deps printed %d packages, and not ours", len(deps))
	}
}

// go test work runs the modules that go.work lists: all but tools, which has no tests.
func TestWorkspaceIsComplete(t *testing.T) {
	var work struct{ Use []struct{ DiskPath string } }
	goJSON(t, &work, "work", "edit", "-json", "go.work")
	var listed []string
	for _, use := range work.Use {
		listed = append(listed, path.Clean(use.DiskPath))
	}
	modules := map[string]bool{".": true}
	for _, f := range sourceFiles(t) {
		modules[f.module] = true
	}
	delete(modules, "tools")
	found := slices.Sorted(maps.Keys(modules))
	slices.Sort(listed)
	if !slices.Equal(listed, found) {
		t.Errorf("go.work lists %q, the modules are %q", listed, found)
	}
}

// goJSON runs a go command and reads what it prints.
func goJSON(t *testing.T, v any, args ...string) {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
}
