package house_test

import (
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// Files of a package that use each other's names can only be read together.
const (
	maxPairs = 2 // of files that use each other's names, in a package
	maxKnot  = 4 // files that reach each other by the names they use
)

// knots lists which packages may have more, and why: pairs, files of the largest knot.
var knots = map[string]struct {
	pairs, files int
	why          string
}{}

func TestFilesAreStacked(t *testing.T) {
	for _, p := range goPackages(t) {
		uses := fileUses(p)
		pairs, loop := mutual(uses), largestLoop(uses)
		most, knotted := knots[p.dir]
		if !knotted {
			most.pairs, most.files = maxPairs, maxKnot
		}
		if len(pairs) > most.pairs {
			t.Errorf("%s: %d pairs of files use each other, want at most %d: %s",
				p.dir, len(pairs), most.pairs, strings.Join(pairs, ", "))
		}
		if len(loop) > most.files {
			t.Errorf("%s: %d files use each other in a loop, want at most %d: %s",
				p.dir, len(loop), most.files, strings.Join(loop, " "))
		}
		if knotted && (len(pairs) < most.pairs || len(loop) < most.files) {
			t.Errorf("%s: %d pairs and a loop of %d are fewer than its row in the table of knots has",
				p.dir, len(pairs), len(loop))
		}
	}
}

// fileUses returns, for each file of a package, the files whose names or methods it uses.
func fileUses(p *goPackage) map[string]map[string]bool {
	name := func(o types.Object) string {
		return path.Base(sources.fset.Position(o.Pos()).Filename)
	}
	uses := map[string]map[string]bool{}
	for _, f := range p.files {
		uses[path.Base(f.path)] = map[string]bool{}
	}
	for id, o := range p.info.Uses {
		if fn, ok := o.(*types.Func); ok {
			o = fn.Origin()
		}
		if o.Pkg() != p.types || o.Parent() != p.types.Scope() && !isMethod(o) {
			continue
		}
		from := path.Base(sources.fset.Position(id.Pos()).Filename)
		if to := name(o); to != from {
			uses[from][to] = true
		}
	}
	return uses
}

func isMethod(o types.Object) bool {
	fn, ok := o.(*types.Func)
	return ok && fn.Signature().Recv() != nil
}

func mutual(uses map[string]map[string]bool) (pairs []string) {
	for _, from := range slices.Sorted(maps.Keys(uses)) {
		for _, to := range slices.Sorted(maps.Keys(uses[from])) {
			if from < to && uses[to][from] {
				pairs = append(pairs, from+"-"+to)
			}
		}
	}
	return pairs
}

// largestLoop returns the largest set of files that all reach each other, or a single one.
func largestLoop(uses map[string]map[string]bool) (loop []string) {
	for from := range uses {
		forth := reached(uses, from)
		together := []string{from}
		for to := range forth {
			if to != from && reached(uses, to)[from] {
				together = append(together, to)
			}
		}
		if len(together) > len(loop) {
			loop = together
		}
	}
	slices.Sort(loop)
	return loop
}

// reached returns the files that a file uses, directly and indirectly.
func reached(uses map[string]map[string]bool, from string) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		for to := range uses[name] {
			if !seen[to] {
				seen[to] = true
				visit(to)
			}
		}
	}
	visit(from)
	return seen
}
