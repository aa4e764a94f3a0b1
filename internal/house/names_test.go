package house_test

import (
	"go/types"
	"testing"
)

const (
	maxRootNames = 55 // exported by the root package
	maxNames     = 30 // exported by any other
)

// manyNames lists which packages may export more, and why.
var manyNames = map[string]struct {
	most int
	why  string
}{
	".":                       {59, "Loop, which six packages drive, has ten names of its own"},
	"breaker":                 {42, "a key of a group has the eleven methods of a breaker"},
	"fault":                   {32, "limiters read the headers that Retry-After is read from"},
	"limit":                   {44, "each of four kinds has five methods; a Rate counts tokens, too"},
	"policyfile":              {31, "each kind of limit has its own fields in a file"},
	"cmd/rebound/batch":       {38, "package fleet sends rows by the same rounds, with a key"},
	"cmd/rebound/batch/store": {33, "a row's state is one of four constants; dry runs"},
	"internal/circuit":        {60, "package breaker works on the parts of a Word without a lock"},
}

// A package should be small enough to remember. Types, functions, methods, constants and variables
// count; fields of structs do not.
func TestExportedNamesAreFew(t *testing.T) {
	for _, p := range goPackages(t) {
		if p.types.Name() == "main" {
			continue
		}
		names, most := exportedNames(p.types), maxNames
		if p.dir == "." {
			most = maxRootNames
		}
		t.Logf("%s: %d", p.dir, len(names))
		if own, ok := manyNames[p.dir]; ok {
			if len(names) < own.most {
				t.Errorf("%s exports %d names alone: lower its %d in the table", p.dir, len(names),
					own.most)
			}
			most = own.most
		}
		if len(names) > most {
			t.Errorf("%s exports %d names, want at most %d: %q", p.dir, len(names), most, names)
		}
	}
}

// exportedNames returns the names that a package's page explains. The methods of an interface
// count, because every implementation must have them.
func exportedNames(p *types.Package) (names []string) {
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		names = append(names, name)
		typ, ok := o.(*types.TypeName)
		if !ok {
			continue
		}
		if named, ok := typ.Type().(*types.Named); ok {
			for m := range named.Methods() {
				if m.Exported() {
					names = append(names, name+"."+m.Name())
				}
			}
		}
		if face, ok := typ.Type().Underlying().(*types.Interface); ok {
			for m := range face.ExplicitMethods() {
				names = append(names, name+"."+m.Name())
			}
		}
	}
	return names
}
