package house_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rowsBelow returns the cells of the first table below a heading of a page.
func rowsBelow(text, heading string) (rows [][]string) {
	_, text, _ = strings.Cut(text, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "|") {
			rows = append(rows, strings.Split(strings.Trim(l, "| "), " | "))
		}
	}
	return rows[min(2, len(rows)):]
}

// The page's table of imports is that of TestDoors.
func TestArchitectureListsImports(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for home, allowed := range doors {
		if !strings.HasPrefix(home, "internal/") {
			want[home] = sortedPublic(allowed)
		}
	}
	for _, row := range rowsBelow(pages(t)["docs/architecture.md"], "Who may import whom") {
		allowed := strings.NewReplacer("rebound and its imports", engine, "none", "", ",", "").
			Replace(row[1])
		for home := range strings.SplitSeq(row[0], ", ") {
			if _, public := want[home]; public {
				got[home] = sortedPublic(allowed)
			}
		}
	}
	compareTables(t, got, want)
}

// sortedPublic is a list of packages in order, without the internal ones.
func sortedPublic(list string) string {
	names := slices.DeleteFunc(strings.Fields(list), func(name string) bool {
		return strings.HasPrefix(name, "internal/")
	})
	slices.Sort(names)
	return strings.Join(names, " ")
}

var internalLink = regexp.MustCompile(`^\[(\w+)\]`)

// The page's table of internal packages has each of them, and who uses it.
func TestArchitectureListsInternalPackages(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for home := range doors {
		if name, internal := strings.CutPrefix(home, "internal/"); internal {
			want[name] = usersOf(home)
		}
	}
	for _, row := range rowsBelow(pages(t)["docs/architecture.md"], "Internal packages") {
		if m := internalLink.FindStringSubmatch(row[0]); m != nil && len(row) == 3 {
			names := strings.Split(row[2], ", ")
			slices.Sort(names)
			got[m[1]] = strings.Join(names, " ")
		}
	}
	compareTables(t, got, want)
}

// usersOf returns the packages whose rows name an internal package, or "tests" if none does.
func usersOf(internal string) string {
	var users []string
	for _, table := range []map[string]string{doors, insiders} {
		for home, allowed := range table {
			if slices.Contains(strings.Fields(allowed), internal) {
				users = append(users, strings.TrimPrefix(home, "internal/"))
			}
		}
	}
	if len(users) == 0 {
		return "tests"
	}
	slices.Sort(users)
	return strings.Join(users, " ")
}

func compareTables(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if g, listed := got[name]; !listed || g != want[name] {
			t.Errorf("docs/architecture.md has %q for %s, want %q", g, name, want[name])
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("docs/architecture.md lists %s, which does not exist", name)
		}
	}
}
