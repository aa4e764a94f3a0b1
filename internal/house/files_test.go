package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/rebound-go/rebound"

// The tests run in the root of the repository. A root module by itself, as in the module
// cache, has neither the other modules nor their pages, so there is nothing to check.
func TestMain(m *testing.M) {
	enter("../..")
	if _, err := os.Stat("cmd/rebound/go.mod"); err != nil {
		fmt.Println("skipped: not in a whole repository:", err)
		return
	}
	m.Run()
}

// enter changes the folder. The cache of test results resolves the names of the files that a test
// reads by the changes of folder it has seen, and it sees none before m.Run: so each helper that
// reads files enters the folder once more. Without that, a change of a file leaves a stale ok.
func enter(dir string) {
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
}

// sourceFile is one Go file of the repository.
type sourceFile struct {
	*ast.File
	path   string // from the root, with slashes
	module string // folder of its go.mod, "." for the root module
	src    []byte
}

// room is the first folder of the file's path: "fault", "cmd", "examples", "." for the root.
func (f *sourceFile) room() string {
	room, _, found := strings.Cut(f.path, "/")
	if !found {
		return "."
	}
	return room
}

func (f *sourceFile) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// line is the line of a position in any source file.
func line(p token.Pos) int { return sources.fset.Position(p).Line }

var sources struct {
	once  sync.Once
	err   error
	fset  *token.FileSet
	files []*sourceFile
}

// sourceFiles returns every Go file below the root, parsed once for all tests.
func sourceFiles(t *testing.T) []*sourceFile {
	t.Helper()
	sources.once.Do(func() {
		enter(".")
		sources.fset = token.NewFileSet()
		sources.err = filepath.WalkDir(".", readSource)
	})
	if sources.err != nil || len(sources.files) == 0 {
		t.Fatalf("%d Go files found: %v", len(sources.files), sources.err)
	}
	return sources.files
}

func readSource(name string, d fs.DirEntry, err error) error {
	base := d.Name()
	switch {
	case err != nil:
		return err
	case d.IsDir() && name != "." && (strings.ContainsAny(base[:1], "._") || base == "testdata"):
		return fs.SkipDir
	case d.IsDir() || filepath.Ext(name) != ".go":
		return nil
	}
	name = filepath.ToSlash(name)
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(sources.fset, name, src, parser.ParseComments)
	sources.files = append(sources.files, &sourceFile{f, name, moduleOf(path.Dir(name)), src})
	return err
}

// moduleOf returns the closest folder at or above dir that has a go.mod.
func moduleOf(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "."
}

// library reports whether a file is of a package that programs import.
func (f *sourceFile) library() bool {
	switch f.room() {
	case "cmd", "examples", "bench", "interop", "tools":
		return false
	}
	return true
}
