package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"testing"
	"unicode"
)

// realWaits are the files whose tests wait by <-time.After outside of a literal given to
// synctest.Test, and how often. Most poll another process or a real server, or are a server that
// takes its time. The gates among them are used in bubbles alone.
var realWaits = map[string]int{
	"breaker/example_test.go":              1,
	"breaker/history_test.go":              2,
	"cmd/rebound/batch/failures_test.go":   1,
	"cmd/rebound/batch/features_test.go":   1,
	"cmd/rebound/batch/limited_test.go":    1,
	"cmd/rebound/batch/money_test.go":      1,
	"cmd/rebound/batch/place_test.go":      6,
	"cmd/rebound/batch_test.go":            2,
	"cmd/rebound/batchfleetcases_test.go":  5,
	"cmd/rebound/batchfleetlink_test.go":   5,
	"cmd/rebound/batchfleetshared_test.go": 4,
	"cmd/rebound/batchgoon_test.go":        1,
	"cmd/rebound/batchtorture_test.go":     1,
	"cmd/rebound/proxy/bench_test.go":      1,
	"cmd/rebound/proxy/load_test.go":       2,
	"cmd/rebound/proxy/proxy_test.go":      2,
	"cmd/rebound/proxyserve_test.go":       2,
	"cmd/rebound/run_test.go":              1,
	"interop/debugpage/scale_test.go":      1,
	"interop/engines/asynq_test.go":        2,
	"interop/engines/kafka_test.go":        2,
	"interop/engines/nats_test.go":         1,
	"interop/llm/pacing_test.go":           1,
	"llm/deadconn_test.go":                 2,
	"loop_test.go":                         2,
	"reboundgrpc/hedge_test.go":            1,
	"reboundhttp/hedge_test.go":            2,
	"reboundredis/fleet_test.go":           2,
	"reboundredis/server_test.go":          1,
}

// A test that sleeps is slow, and fails on a busy machine. In the bubble of synctest.Test sleeping
// takes no time. So a sleep is in a function literal given to synctest.Test, or in a function whose
// name occurs only in such bubbles. A test that waits for another process, or for a real server,
// has no bubble: it may wait by <-time.After, as often as the table below has.
func TestNoTestSleeps(t *testing.T) {
	sleeps, outside := testSleeps(t)
	waits := map[string]int{}
	for _, s := range sleeps {
		switch {
		case outside[s.fn] == 1:
		case s.sleep:
			t.Errorf("%s:%d: time.Sleep outside of a synctest.Test", s.file.path, line(s.pos))
		default:
			waits[s.file.path]++
		}
	}
	for path, n := range waits {
		if n > realWaits[path] {
			t.Errorf("%s: %d waits by time.After outside of a synctest.Test, want at most %d", path, n,
				realWaits[path])
		}
	}
	for path, n := range realWaits {
		if waits[path] < n {
			t.Errorf("%s: %d waits by time.After: lower its %d in the table", path, waits[path], n)
		}
	}
}

// aSleep is a call of time.Sleep, or the statement <-time.After.
type aSleep struct {
	file  *sourceFile
	pos   token.Pos
	fn    string
	sleep bool
}

// testSleeps returns the sleeps of tests outside of the literals given to synctest.Test, and how
// often a package's tests write a name outside of them.
func testSleeps(t *testing.T) (sleeps []aSleep, outside map[string]int) {
	outside = map[string]int{}
	for _, f := range sourceFiles(t) {
		if !f.test() {
			continue
		}
		dir := path.Dir(f.path) + "."
		ast.PreorderStack(f.File, nil, func(n ast.Node, stack []ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				outside[dir+n.Name]++
			case *ast.ExprStmt:
				if _, choice := stack[len(stack)-1].(*ast.CommClause); !choice && isWait(n.X) {
					sleeps = append(sleeps, aSleep{f, n.Pos(), dir + enclosing(stack), false})
				}
			case *ast.CallExpr:
				if isFunc(n.Fun, "time", "Sleep") {
					sleeps = append(sleeps, aSleep{f, n.Pos(), dir + enclosing(stack), true})
				}
				return !isFunc(n.Fun, "synctest", "Test")
			}
			return true
		})
	}
	return sleeps, outside
}

// isWait reports whether an expression is <-time.After.
func isWait(e ast.Expr) bool {
	receive, ok := e.(*ast.UnaryExpr)
	if !ok || receive.Op != token.ARROW {
		return false
	}
	call, ok := receive.X.(*ast.CallExpr)
	return ok && isFunc(call.Fun, "time", "After")
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
