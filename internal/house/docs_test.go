package house_test

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"testing"
)

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sourceFiles(t) {
		if dir := path.Dir(f.path); !f.test() {
			documented[dir] = documented[dir] || f.Doc != nil
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.test() {
			continue
		}
		for _, d := range f.Decls {
			for _, id := range undocumented(d) {
				t.Errorf("%s:%d: %s has no comment", f.path, line(id.Pos()), id.Name)
			}
		}
	}
}

// undocumented returns the exported names of a declaration, fields of structs and methods of
// interfaces included, that no comment explains. One comment may explain a whole group of
// constants, variables or fields.
func undocumented(d ast.Decl) (missing []*ast.Ident) {
	if fn, ok := d.(*ast.FuncDecl); ok {
		if fn.Doc == nil && !selfEvident(fn) {
			return exported(fn.Name)
		}
		return nil
	}
	group := d.(*ast.GenDecl)
	for _, s := range group.Specs {
		switch s := s.(type) {
		case *ast.ValueSpec:
			if s.Doc == nil && s.Comment == nil && group.Doc == nil {
				missing = append(missing, exported(s.Names...)...)
			}
		case *ast.TypeSpec:
			if s.Doc == nil && s.Comment == nil && (group.Doc == nil || group.Lparen.IsValid()) {
				missing = append(missing, exported(s.Name)...)
			}
			if s.Name.IsExported() {
				missing = append(missing, undocumentedFields(s.Type)...)
			}
		}
	}
	return missing
}

// selfEvident reports whether fn is a method of an unexported type, or one whose meaning is the
// same for every type.
func selfEvident(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return false
	}
	common := []string{"Error", "String", "Unwrap"}
	return !receiver(fn).IsExported() || slices.Contains(common, fn.Name.Name)
}

// receiver is the name of a method's type.
func receiver(fn *ast.FuncDecl) (name *ast.Ident) {
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == nil {
			name = id
		}
		return name == nil
	})
	return name
}

// undocumentedFields looks at the fields of a struct or the methods of an interface. Those without
// a blank line between them are a group. It returns the groups without any comment. A type with at
// most two needs none, because the comment above the type explains them.
func undocumentedFields(typ ast.Expr) (missing []*ast.Ident) {
	var fields []*ast.Field
	switch typ := typ.(type) {
	case *ast.StructType:
		fields = typ.Fields.List
	case *ast.InterfaceType:
		fields = typ.Methods.List
	}
	if len(fields) <= 2 {
		return nil
	}

	var group []*ast.Ident
	explained, end := false, line(fields[0].Pos())
	for _, field := range fields {
		start := field.Pos()
		if field.Doc != nil {
			start = field.Doc.Pos()
		}
		if line(start) > end+1 {
			missing = append(missing, group...)
			group, explained = nil, false
		}
		explained = explained || field.Doc != nil || field.Comment != nil
		if group = append(group, exported(field.Names...)...); explained {
			group = nil
		}
		end = line(field.End())
	}
	return append(missing, group...)
}

func exported(names ...*ast.Ident) (out []*ast.Ident) {
	for _, id := range names {
		if id.IsExported() {
			out = append(out, id)
		}
	}
	return out
}
