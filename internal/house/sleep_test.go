package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"testing"
	"unicode"
)

// A test that sleeps is slow, and fails on a busy machine. In the bubble of synctest.Test sleeping
// takes no time. So a sleep is in a function literal given to synctest.Test, or in a function whose
// name occurs only in such bubbles.
func TestNoTestSleeps(t *testing.T) {
	type sleep struct {
		file *sourceFile
		pos  token.Pos
		fn   string
	}
	var sleeps []sleep
	outside := map[string]int{} // how often a package's tests write a name outside of bubbles
	for _, f := range sourceFiles(t) {
		if !f.test() {
			continue
		}
		dir := path.Dir(f.path) + "."
		ast.PreorderStack(f.File, nil, func(n ast.Node, stack []ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				outside[dir+n.Name]++
			case *ast.CallExpr:
				if isFunc(n.Fun, "time", "Sleep") {
					sleeps = append(sleeps, sleep{f, n.Pos(), dir + enclosing(stack)})
				}
				return !isFunc(n.Fun, "synctest", "Test")
			}
			return true
		})
	}
	for _, s := range sleeps {
		if outside[s.fn] != 1 {
			t.Errorf("%s:%d: time.Sleep outside of a synctest.Test", s.file.path, line(s.pos))
		}
	}
}

func isFunc(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// enclosing returns the name of the innermost named function, declared or assigned to a variable.
// It returns none for an exported one, such as a test, because that may be called from anywhere.
func enclosing(stack []ast.Node) string {
	for _, n := range slices.Backward(stack) {
		var name ast.Expr
		switch n := n.(type) {
		case *ast.FuncDecl:
			name = n.Name
		case *ast.AssignStmt:
			name = n.Lhs[0]
		}
		id, ok := name.(*ast.Ident)
		if ok && !unicode.IsUpper(rune(id.Name[0])) {
			return id.Name
		}
		if ok {
			return ""
		}
	}
	return ""
}
