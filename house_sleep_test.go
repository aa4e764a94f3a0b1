package rebound_test

import (
	"go/ast"
	"testing"
)

// A test that sleeps is slow, and fails on a busy machine. In the bubble of synctest.Test sleeping
// takes no time, and there it must stand in the text, where a reader sees that it is harmless.
func TestNoTestSleeps(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if !f.test() {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if isFunc(call.Fun, "time", "Sleep") {
				t.Errorf("%s:%d: time.Sleep outside of a synctest.Test", f.path, line(n.Pos()))
			}
			return !isFunc(call.Fun, "synctest", "Test")
		})
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
