package house_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages returns the text of README.md, CONTRIBUTING.md and docs/*.md by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	enter(".")
	names, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range append(names, "README.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.ToSlash(name)] = string(text)
	}
	return texts
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Every Go snippet in the docs is a piece of a Go file of this repository, most often of an
// Example: so it compiles, and it has run.
func TestSnippetsAreCode(t *testing.T) {
	var code []string
	for _, f := range sourceFiles(t) {
		code = append(code, unindented(string(f.src)))
	}
	snippets := 0
	for page, text := range pages(t) {
		for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
			snippets++
			if wholeProgram.MatchString(block[0]) {
				continue // TestPagesHaveAProgram runs it
			}
			snippet := unindented(block[1])
			found := func(src string) bool { return strings.Contains(src, snippet) }
			if !slices.ContainsFunc(code, found) {
				t.Errorf("%s: this snippet is in no Go file, put it into an Example:\n%s",
					page, block[1])
			}
		}
	}
	if snippets == 0 {
		t.Error("no snippet found")
	}
}

// unindented is text without the white space at the beginning of its lines, so that a snippet may
// stand further to the left than the code that it is from.
func unindented(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		b.WriteString("\n" + strings.TrimSpace(l))
	}
	return b.String() + "\n"
}

var (
	link     = regexp.MustCompile(`\[([^\]]+)\]\(([^)#]*)[^)]*\)`)
	testName = regexp.MustCompile(`^(Example|Test|Fuzz|Benchmark)([A-Z_]\w*)?$`)
)

// Every link within the repository has a target. If its text is the name of an Example or a Test,
// the target has that function.
func TestLinks(t *testing.T) {
	for page, text := range pages(t) {
		prose := codeBlock.ReplaceAllString(text, "") // Go's generics look like links
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			name, target := strings.Trim(m[1], "`"), m[2]
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			target = path.Join(path.Dir(page), target)
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s: %v", page, m[0], err)
				continue
			}
			if testName.MatchString(name) && !hasFunc(target, name) {
				t.Errorf("%s: the link %s: there is no %s in %s", page, m[0], name, target)
			}
		}
	}
}

func hasFunc(file, name string) bool {
	src, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(src), "\nfunc "+name+"(")
}

// The table of packages is complete, and the two commands of a newcomer exist.
func TestReadmeIsComplete(t *testing.T) {
	readme := pages(t)["README.md"]
	rooms := map[string]bool{}
	for _, f := range sourceFiles(t) {
		rooms[f.room()] = true
	}
	for _, not := range []string{".", "internal", "tools"} {
		delete(rooms, not)
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		if !strings.Contains(readme, fmt.Sprintf("](%s/", room)) {
			t.Errorf("README.md has no link to the room %s/", room)
		}
	}
	for command, file := range map[string]string{
		"go run ./examples/receipts": "examples/receipts/main.go",
		"scripts/test":               "scripts/test",
	} {
		if _, err := os.Stat(file); err != nil || !strings.Contains(readme, "\n"+command+"\n") {
			t.Errorf("README.md lacks the command %q, or there is no %s: %v", command, file, err)
		}
	}
}

// The README compares with the versions that bench measures.
func TestComparedVersions(t *testing.T) {
	readme, measured := pages(t)["README.md"], read(t, "bench/go.mod")
	version := regexp.MustCompile(`\]\(https://(\S+)\) ([\d.]+) \|`)
	compared := version.FindAllStringSubmatch(readme, -1)
	for _, m := range compared {
		required := regexp.MustCompile(regexp.QuoteMeta(m[1]) + `(/v\d+)? v` + m[2] + `\n`)
		if !required.MatchString(measured) {
			t.Errorf("README.md compares with %s %s, which is not in bench/go.mod", m[1], m[2])
		}
	}
	if len(compared) < 5 {
		t.Errorf("%d libraries are compared, want the peers", len(compared))
	}
}

const maxReadme = 200 // lines

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(pages(t)["README.md"], "\n"); n > maxReadme {
		t.Errorf("README.md has %d lines, want at most %d", n, maxReadme)
	}
}

var released = regexp.MustCompile(`(?m)^## `)

// Before a first release nothing can change or get another name: all of it is added.
func TestFirstReleaseOnlyAdds(t *testing.T) {
	changes := read(t, "CHANGELOG.md")
	if len(released.FindAllString(changes, -1)) > 1 {
		return
	}
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(changes, -1) {
		if m[1] != "Added" {
			t.Errorf("CHANGELOG.md has a section %q, but nothing was released: put it in Added", m[1])
		}
	}
}
