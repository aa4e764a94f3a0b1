package fault

import (
	"reflect"
	"strconv"
	"strings"
)

// readSQLite reads the errors of three drivers: modernc.org/sqlite by the method Code, ncruces by
// the method ExtendedCode, and mattn by its fields.
func readSQLite(t reflect.Type) reader {
	plain, ext := fieldOf(t, "Code", isInt), fieldOf(t, "ExtendedCode", isInt)
	m, ok := t.MethodByName("ExtendedCode")
	switch {
	case plain != nil && ext != nil:
		return func(err error) finding {
			// The extended code holds the plain one in its low byte, and more detail above it.
			if n := ext.number(err); n != 0 {
				return sqlite(n)
			}
			return sqlite(plain.number(err))
		}
	case ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && isInt(m.Type.Out(0)):
		return func(err error) finding {
			return sqlite(number(reflect.ValueOf(err).MethodByName("ExtendedCode").Call(nil)[0]))
		}
	case isInt(t) && mentions(t, "sqlite"): // ncruces: a code is an error
		return func(err error) finding { return sqlite(number(reflect.ValueOf(err))) }
	case has[interface{ Code() int }](t) && !isOracle(t):
		// The type of modernc is called just Error; only the path of its package has the name.
		named := mentions(t, "sqlite")
		return func(err error) finding { return codeMethod(err, named) }
	}
	return nil
}

// codeMethod reads a method Code() int, which errors of many libraries have. If neither type nor
// package is named after SQLite, the text must be SQLite's.
func codeMethod(err error, named bool) finding {
	if !named {
		text := strings.ToLower(err.Error())
		if !strings.Contains(text, "sqlite") && !strings.HasPrefix(text, "database is locked") &&
			!strings.HasPrefix(text, "database table is locked") {
			return finding{}
		}
	}
	return sqlite(err.(interface{ Code() int }).Code())
}

// sqlite is the meaning of a result code, plain or extended. The low byte decides. A busy snapshot
// (517) requires a retry of the whole transaction, which does no harm after the other codes either.
// SQLite runs in the process, so a statement that failed was not carried out, unless the disk
// failed.
func sqlite(number int) finding {
	f := rejected
	switch number & 0xff {
	case 0, 100, 101: // fine, a row, done
		return finding{}
	case 5, 6, 9, 15, 17: // busy, locked, interrupted, a lost race for locks, the schema has changed
		f = locked
	// A failing disk or a damaged file. The write may have been done in part.
	case 10, 11:
		f = broken
	}
	f.detail = "sqlite " + strconv.Itoa(number)
	return f
}
