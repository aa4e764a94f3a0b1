package house_test

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

// someDefaults must be found, so that the rule checks something.
var someDefaults = []string{
	"rebound.defaultAttempts", "rebound.defaultMaxRetryAfter", "bucket.DefaultCapacity",
	"breaker.defaultFailures", "breaker.defaultCooldown", "backoff.defaultMax",
	"reboundhttp.defaultMaxBuffer", "sim.defaultDuration",
}

// A default is the number that a zero means. It has a name, and is written only in the package of
// the field; others call that package.
func TestDefaultsAreWrittenOnce(t *testing.T) {
	named := map[string]bool{}
	for _, p := range goPackages(t) {
		if p.dir == "bench" || p.dir == "bench/cmd/table" {
			continue
		}
		for _, d := range defaultsOf(p) {
			pos := sources.fset.Position(d.pos)
			switch {
			case d.name == "":
				t.Errorf("%s:%d: a number stands for zero: give that default a name",
					pos.Filename, pos.Line)
			case d.owner != nil && d.owner != p.types:
				t.Errorf("%s:%d: %s is the default of a field of package %s, and belongs there",
					pos.Filename, pos.Line, d.name, d.owner.Name())
			}
			named[p.types.Name()+"."+d.name] = true
		}
	}
	for _, name := range someDefaults {
		if !named[name] {
			t.Errorf("%s stands for no zero", name)
		}
	}
}

// A defaultValue is a constant that stands for a zero.
type defaultValue struct {
	pos   token.Pos
	name  string         // none: the number itself is written there
	owner *types.Package // of the field that is zero, if it is one
}

// defaultsOf finds the replacements of zeros in three forms: cmp.Or(x, constant), orDefault(x,
// constant), and a branch for x == 0 that returns or assigns a constant.
func defaultsOf(p *goPackage) (found []defaultValue) {
	add := func(zero ast.Expr, values ...ast.Expr) {
		for _, v := range values {
			for _, c := range p.constants(v) {
				found = append(found, defaultValue{c.Pos(), p.constantName(c), p.owner(zero)})
			}
		}
	}
	for _, f := range p.files {
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); isFunc(n.Fun, "cmp", "Or") ||
					ok && fn.Name == "orDefault" {
					add(n.Args[0], n.Args[1:]...)
				}
			case *ast.IfStmt:
				if zero := p.zero(n.Cond); zero != nil {
					add(zero, results(n.Body.List)...)
				}
			case *ast.CaseClause:
				for _, cond := range n.List {
					if zero := p.zero(cond); zero != nil {
						add(zero, results(n.Body)...)
					}
				}
			}
			return true
		})
	}
	return found
}

// zero returns what a condition compares with 0, if it is a variable or a field.
func (p *goPackage) zero(cond ast.Expr) ast.Expr {
	b, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok {
		return nil
	}
	switch b.Op {
	case token.LOR, token.LAND:
		if x := p.zero(b.X); x != nil {
			return x
		}
		return p.zero(b.Y)
	case token.EQL, token.LEQ:
		_, call := b.X.(*ast.CallExpr)
		if y, ok := b.Y.(*ast.BasicLit); ok && y.Value == "0" && !call {
			return b.X
		}
	}
	return nil
}

// results returns what the statements of a branch return or assign.
func results(branch []ast.Stmt) (values []ast.Expr) {
	for _, s := range branch {
		switch s := s.(type) {
		case *ast.ReturnStmt:
			values = append(values, s.Results...)
		case *ast.AssignStmt:
			values = append(values, s.Rhs...)
		}
	}
	return values
}

// constants returns the numbers in an expression that might be defaults: not -1, 0 and 1.
func (p *goPackage) constants(e ast.Expr) (found []ast.Expr) {
	if v := p.info.Types[e].Value; v != nil {
		number := v.Kind() == constant.Int || v.Kind() == constant.Float
		if number && !slices.Contains([]string{"-1", "0", "1"}, v.String()) {
			found = append(found, e)
		}
		return found
	}
	switch e := e.(type) {
	case *ast.CallExpr:
		for _, arg := range e.Args {
			found = append(found, p.constants(arg)...)
		}
	case *ast.BinaryExpr:
		found = append(p.constants(e.X), p.constants(e.Y)...)
	}
	return found
}

// constantName returns the name of the constant that an expression is, or is made of.
func (p *goPackage) constantName(e ast.Expr) (name string) {
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if c, isConst := p.info.Uses[id].(*types.Const); ok && isConst && c.Pkg() == p.types {
			name = id.Name
		}
		return name == ""
	})
	return name
}

// owner returns the package whose field an expression is.
func (p *goPackage) owner(e ast.Expr) *types.Package {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if o, ok := p.info.Uses[sel.Sel].(*types.Var); ok && o.IsField() {
			return o.Pkg()
		}
	}
	return nil
}
