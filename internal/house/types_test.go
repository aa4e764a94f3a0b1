package house_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A goPackage is one package of the repository, without its tests, as this machine builds it.
type goPackage struct {
	dir     string // from the root, with slashes
	files   []*sourceFile
	types   *types.Package
	info    *types.Info
	err     error // of the types, where it is not for a package from outside
	outside bool  // imports a package from outside, whose types are not known
}

var checked struct {
	once     sync.Once
	err      error
	packages map[string]*goPackage // by import path
}

// goPackages returns the packages of all modules in the order of their folders, with their types.
func goPackages(t *testing.T) []*goPackage {
	t.Helper()
	files := sourceFiles(t)
	checked.once.Do(func() { checked.err = check(files) })
	if checked.err != nil {
		t.Fatal(checked.err)
	}
	return slices.SortedFunc(maps.Values(checked.packages), func(a, b *goPackage) int {
		return strings.Compare(a.dir, b.dir)
	})
}

func check(files []*sourceFile) error {
	checked.packages = map[string]*goPackage{}
	std := map[string]bool{}
	for _, f := range files {
		dir := path.Dir(f.path)
		if ok, err := build.Default.MatchFile(dir, path.Base(f.path)); err != nil {
			return err
		} else if !ok || f.test() {
			continue
		}
		p := checked.packages[importPath(dir)]
		if p == nil {
			p = &goPackage{dir: dir}
			checked.packages[importPath(dir)] = p
		}
		p.files = append(p.files, f)
		for _, spec := range f.Imports {
			if name := imported(spec); standard(name) {
				std[name] = true
			}
		}
	}
	im, err := newRepository(slices.Sorted(maps.Keys(std)))
	if err != nil {
		return err
	}
	for name := range checked.packages {
		if _, err := im.Import(name); err != nil {
			return err
		}
	}
	return nil
}

func importPath(dir string) string { return path.Join(modulePath, dir) }

func imported(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, `"`) }

// standard reports whether an import path is one of the standard library's.
func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// repository imports our own packages from source, those of the standard library in their compiled
// form, and all others as if they were empty.
type repository struct{ std types.Importer }

func newRepository(std []string) (*repository, error) {
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	if raceEnabled() {
		args = append(args, "-race") // it is compiled for that already
	}
	cmd := exec.Command("go", append(args, std...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	compiled := map[string]string{}
	for l := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(l), "=")
		compiled[name] = file
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(compiled[name]) }
	return &repository{importer.ForCompiler(token.NewFileSet(), "gc", open)}, nil
}

func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Import implements types.Importer.
func (r *repository) Import(name string) (*types.Package, error) {
	if p := checked.packages[name]; p != nil {
		if p.types == nil {
			r.check(name, p)
		}
		return p.types, p.err
	}
	if standard(name) {
		return r.std.Import(name)
	}
	outside := types.NewPackage(name, path.Base(name))
	outside.MarkComplete()
	return outside, nil
}

func (r *repository) check(name string, p *goPackage) {
	p.info = &types.Info{
		Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{},
	}
	var files []*ast.File
	for _, f := range p.files {
		files = append(files, f.File)
		for _, spec := range f.Imports {
			ours := checked.packages[imported(spec)]
			p.outside = p.outside || ours == nil && !standard(imported(spec))
			if ours != nil && ours.types == nil {
				r.check(imported(spec), ours)
			}
			p.outside = p.outside || ours != nil && ours.outside
		}
	}
	config := types.Config{Importer: r, Error: func(err error) {
		if p.err == nil && !p.outside {
			p.err = err
		}
	}}
	p.types, _ = config.Check(name, sources.fset, files, p.info)
}
