package reboundsql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
)

// uncertain reports whether the server may have carried out what failed with err: a COMMIT or, if
// statement is set, a statement that commits by itself. Only errors on a list prove a rollback.
// Proxies, storage engines and drivers lose answers too, and report that with their own codes. A
// driver's "bad connection" or "safe to retry" proves nothing: pgx and lib/pq return such errors
// for statements that were carried out, and any driver may wrap one.
//
// The classifier of p counts only if it differs from fault.Of. The lists of fault.Of are about
// statements inside a transaction, not about a COMMIT.
func uncertain(p *rebound.Policy, err error, statement bool) bool {
	if refused(err, statement, maxBranches) {
		return false
	}
	return p.Classify == nil || fault.Of(err).Sent == fault.NotDone ||
		p.Classify(err).Sent != fault.NotDone
}

// maxBranches is how deep a tree of joined errors is read.
const maxBranches = 10

// refused reports whether err proves that the server did nothing. If err joins several errors, each
// of them must prove it.
func refused(err error, statement bool, depth int) bool {
	joined := errtree.Find(err, func(e error) bool {
		_, ok := e.(interface{ Unwrap() []error })
		return ok
	})
	if joined != nil {
		all := joined.(interface{ Unwrap() []error }).Unwrap()
		return depth > 0 && len(all) > 0 && !slices.ContainsFunc(all, func(branch error) bool {
			return !refused(branch, statement, depth-1)
		})
	}
	if inFailedTx(err) || statement && neverSent(err) {
		return true
	}
	family, code, _ := strings.Cut(fault.Of(err).Detail, " ")
	if family == "sqlstate" && len(code) == 5 {
		return refusedState(code, statement)
	}
	n, bad := strconv.Atoi(code)
	lists, known := refusals[family]
	switch {
	case bad != nil || !known:
		return false
	case family == "sqlite":
		n &= 0xff // the low byte of an extended code is the primary code
	case family == "mysql" && statement && n < 5000: // higher numbers are those of TiDB and others
		if state := mySQLState(err, code); state != "" && state != "HY000" {
			return refusedState(state, true)
		}
	}
	return lists[0].has(n) || statement && lists[1].has(n)
}

// neverSent reports whether database/sql itself rejected the arguments of a statement. It has no
// error value for this, so the text decides.
func neverSent(err error) bool {
	text := textOf(err)
	return strings.HasPrefix(text, "sql: converting argument ") ||
		strings.HasPrefix(text, "sql: expected ")
}

// refusedState reports whether the SQLSTATE proves that the server did nothing.
func refusedState(state string, statement bool) bool {
	switch state {
	case "40003": // statement completion unknown
		return false
	case "55P03", "57014", "P0001": // lock not available, canceled, raised by a function
		return true
	}
	switch state[:2] {
	case "22", "23", "25", "40", "53": // data, constraint, transaction state, rollback, no room
		return true
	case "0A", "21", "26", "28", "2B", "2F", "34", "3B", "3D", "3F", "42", "44", "54", "55", "72",
		"P0": // detected before a statement has an effect, or raised inside a function
		return statement
	}
	return false
}

// mySQLState returns the SQLSTATE in the text of go-sql-driver's error, "Error 1062 (23000): …".
// The lists do not have the codes of interrupted statements and of timeouts (1317, 1969, 3024). The
// server may return these codes while it commits, so they prove nothing.
func mySQLState(err error, number string) string {
	_, rest, _ := strings.Cut(textOf(err), "Error "+number+" (")
	if len(rest) < 6 || rest[5] != ')' {
		return ""
	}
	return rest[:5]
}

// codes is a list of ranges of codes: the first and the last code of each.
type codes [][2]int

func (c codes) has(n int) bool {
	return slices.ContainsFunc(c, func(r [2]int) bool { return r[0] <= n && n <= r[1] })
}

func one(all ...int) (c codes) {
	for _, n := range all {
		c = append(c, [2]int{n, n})
	}
	return c
}

// refusals are the codes that prove that the server did nothing, or rolled back. The key is the
// family in a fault's detail. The first list applies to a COMMIT and to a statement, the second
// only to a statement. The sources are the vendors' references of error codes.
var refusals = map[string][2]codes{
	"mysql": {
		one(
			1205, 1213, 1020, 1613, 1614, 3101, // deadlocks, lost certifications, stale snapshots
			1022, 1062, 1169, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025, // constraints
			1290, 1792, 1836, 3100, // read-only
			8002, 8005, 8022, 8027, 8028, 9007, // TiDB: conflicts, rolled back
		),
		one(1036, 1114, 1364, 1366, 1412, 1615, 3572),
	},
	"sqlite": {
		one(5, 6, 13, 19), // busy, locked, full, constraint
		one(1, 8, 9, 12, 14, 15, 17, 18, 20, 21, 23, 25, 26), // detected before the write
	},
	"mssql": {
		one(
			1204, 1205, 1222, 3960, 3961, 41301, 41302, 41305, 41325, 41839, // conflicts
			547, 2601, 2627, // constraints
			3906, // read-only
		),
		one(102, 105, 109, 110, 137, 156, 201, 206, 207, 208, 213, 229, 230, 241, 242, 245, 515, 544,
			2628, 2714, 2812, 3701, 4104, 8114, 8115, 8134, 8152),
	},
	"oracle": {
		one(
			54, 60, 104, 8176, 8177, 30006, // conflicts
			1, 2091, 2290, 2291, 2292, // constraints
			16000, // read-only
		),
		append(codes{{900, 999}, {1830, 1861}}, // syntax, names; dates
			one(51, 1017, 1031, 1400, 1401, 1407, 1438, 1555, 1722, 2289, 4020, 4021, 12899)...),
	},
}
