package house_test

import (
	"bytes"
	"go/ast"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// The limits are those of a page. What does not fit on a page is read in pieces.
const (
	maxLines   = 300 // of a file, tests apart
	maxColumns = 100 // of a line, a tab counting as one
	maxFunc    = 60  // lines of a function

	maxRootFiles = 20 // Go files in the root folder
	maxRootTests = 9  // of them tests
)

// A visitor sees the root folder first.
func TestRootIsSmall(t *testing.T) {
	files, tests := 0, 0
	for _, f := range sourceFiles(t) {
		if f.room() != "." {
			continue
		}
		if files++; f.test() {
			tests++
		}
	}
	if files > maxRootFiles || tests > maxRootTests {
		t.Errorf("the root has %d Go files, %d of them tests: want at most %d and %d",
			files, tests, maxRootFiles, maxRootTests)
	}
}

func TestLinesAndFilesAreShort(t *testing.T) {
	for _, f := range sourceFiles(t) {
		lines := bytes.Split(f.src, []byte("\n"))
		for i, l := range lines {
			if n := utf8.RuneCount(l); n > maxColumns {
				t.Errorf("%s:%d: %d columns, want at most %d", f.path, i+1, n, maxColumns)
			}
		}
		if n := len(lines) - 1; n > maxLines && !f.test() {
			t.Errorf("%s: %d lines, want at most %d", f.path, n, maxLines)
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	for _, f := range sourceFiles(t) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := line(fn.End()) - line(fn.Pos()) + 1; n > maxFunc {
				t.Errorf("%s:%d: %s has %d lines, want at most %d",
					f.path, line(fn.Pos()), fn.Name.Name, n, maxFunc)
			}
		}
	}
}

const maxFileBytes = 400_000 // of the samples of bench, by all libraries

// A file left by a build would be in every clone, and in the module that users download.
func TestNoFileIsLarge(t *testing.T) {
	enter(".")
	out, err := exec.Command("git", "ls-files").Output()
	if err != nil {
		t.Skip("no repository:", err)
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSuffix(name, "\n")
		if info, err := os.Stat(name); err == nil && info.Size() > maxFileBytes {
			t.Errorf("%s has %d bytes, want at most %d", name, info.Size(), maxFileBytes)
		}
	}
}
