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

// engine is package rebound and what it may import itself.
const engine = "rebound fault gate backoff breaker budget "

// doors lists which of our packages each package of the root module may import. Its tests may
// import any. A new package gets its row here. A row names exactly those internal packages that are
// used.
var doors = map[string]string{
	"fault":   "",
	"backoff": "",
	"gate":    "fault",
	"breaker": "fault gate internal/circuit internal/clock",
	"budget":  "fault gate internal/bucket internal/clock",
	"limit":   "fault gate internal/adaptive internal/clock internal/gcra internal/shed",
	"rebound": "fault gate backoff breaker budget internal/errtree internal/mark",
	"hedge":   "rebound fault gate budget internal/clock internal/hedging",

	"preset":      engine + "internal/retryclass",
	"stats":       engine + "internal/printable internal/rejection",
	"reboundtest": engine,
	"reboundsql":  engine + "internal/errtree internal/mark",
	"reboundslog": engine + "hedge limit internal/rejection",
	"policyfile":  engine + "limit internal/retryclass internal/strictjson",
	"reboundhttp": engine + "limit hedge internal/httppolicy internal/mark",
	"llm": engine + "limit hedge reboundhttp internal/errtree internal/httppolicy " +
		"internal/jsonscan internal/lru internal/mark",
	"rebounddebug": engine + "limit hedge stats internal/distinct",
	"sim": engine + "limit hedge stats internal/adaptive internal/bucket internal/circuit " +
		"internal/gcra internal/hedging internal/shed",

	"internal/adaptive":   "fault gate",
	"internal/bucket":     "",
	"internal/circuit":    "fault gate",
	"internal/clock":      "",
	"internal/daemon":     "",
	"internal/distinct":   "",
	"internal/errtree":    "",
	"internal/gcra":       "",
	"internal/hedging":    "",
	"internal/house":      "",
	"internal/httppolicy": "rebound gate",
	"internal/jsonscan":   "",
	"internal/jsonschema": "internal/strictjson",
	"internal/lru":        "",
	"internal/mark":       "fault internal/errtree",
	"internal/printable":  "",
	"internal/rejection":  "rebound breaker limit internal/errtree",
	"internal/retryclass": "fault internal/errtree",
	"internal/shed":       "fault gate",
	"internal/strictjson": "",
}

// insiders are the nested modules and examples that may import internal packages, beside the public
// ones of the root module, which all may: a wait, bare forms, the strict reading of JSON, names for
// a terminal. A library of its own module must not: programs may use it with a later version of the
// root module. Evidence may import the libraries that are modules of their own.
var insiders = map[string]string{
	"bench":          "reboundgrpc reboundredis",
	"examples/fleet": "internal/daemon",
	"cmd/rebound": "internal/clock internal/jsonscan internal/jsonschema internal/lru " +
		"internal/printable internal/strictjson",
}

func TestDoors(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sourceFiles(t) {
		home := roomOf(f)
		allowed, known := allowedImports(f)
		if !known {
			t.Errorf("%s: package %q has no row in the table of doors", f.path, home)
		}
		for _, spec := range f.Imports {
			target, ours := roomAt(imported(spec))
			// Tests of the root module may import anything, so they use no row.
			used[home+" "+target] = used[home+" "+target] || !f.test() || f.module != "."
			switch {
			case !ours && !standard(imported(spec)) && f.module == ".":
				t.Errorf("%s:%d: imports %s: the root module has the standard library alone",
					f.path, line(spec.Pos()), spec.Path.Value)
			case !ours || f.module == "." && f.test() || inside(f, imported(spec)):
			case !slices.Contains(allowed, target):
				t.Errorf("%s:%d: imports %s: of our packages it may import %q alone",
					f.path, line(spec.Pos()), spec.Path.Value, allowed)
			}
		}
	}
	for _, table := range []map[string]string{doors, insiders} {
		for home, allowed := range table {
			for _, target := range strings.Fields(allowed) {
				if strings.HasPrefix(target, "internal/") && !used[home+" "+target] {
					t.Errorf("%s: does not import %s, which its row allows", home, target)
				}
			}
		}
	}
}

// roomOf is what the tables call a file's home: its package in the root module, its nested module,
// its example.
func roomOf(f *sourceFile) string {
	dir := path.Dir(f.path)
	switch {
	case f.module != ".":
		return f.module
	case f.room() == "examples":
		return strings.Join(strings.SplitN(dir, "/", 3)[:2], "/")
	case dir == ".":
		return "rebound"
	}
	return dir
}

// roomAt is what the tables call the package of an import path, if it is ours.
func roomAt(name string) (room string, ours bool) {
	if name == modulePath {
		return "rebound", true
	}
	return strings.CutPrefix(name, modulePath+"/")
}

// allowedImports returns which of our packages a file may import, and whether a table says so.
func allowedImports(f *sourceFile) (allowed []string, known bool) {
	home := roomOf(f)
	if f.module == "." && f.room() != "examples" {
		row, known := doors[home]
		return strings.Fields(row), known
	}
	allowed = strings.Fields(insiders[home])
	if f.test() {
		allowed = append(allowed, "internal/daemon") // servers as child processes
	}
	for room := range doors {
		if !strings.HasPrefix(room, "internal/") {
			allowed = append(allowed, room)
		}
	}
	slices.Sort(allowed)
	return allowed, true
}

// inside reports whether a file imports a package of its own nested module, or of its own example.
func inside(f *sourceFile, name string) bool {
	if f.module == "." && f.room() != "examples" {
		return false
	}
	return strings.HasPrefix(name+"/", importPath(roomOf(f))+"/")
}

func TestRootModuleRequiresNothing(t *testing.T) {
	var mod struct{ Require []struct{ Path string } }
	goJSON(t, &mod, "mod", "edit", "-json", "go.mod")
	if len(mod.Require) != 0 {
		t.Errorf("go.mod requires %v: want nothing; what needs it becomes a module of its own",
			mod.Require)
	}
}

// A program without HTTP, SQL, JSON or logs must not contain them: net/http alone adds 4 MB.
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

// go test work runs the modules that go.work lists. Two are missing: tools has no tests, and
// .ci/run tests interop/engines separately. A workspace has one version of a module, and those
// engines would choose it for all others.
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
	delete(modules, "interop/engines")
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
