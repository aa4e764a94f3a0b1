package fault

import (
	"reflect"
	"strconv"
	"strings"
)

// readSQLite reads the error of modernc.org/sqlite by its method Code, that of ncruces by
// ExtendedCode, and that of mattn by its fields.
func readSQLite(t reflect.Type) reader {
	plain, ext := fieldOf(t, "Code", isInt), fieldOf(t, "ExtendedCode", isInt)
	m, ok := t.MethodByName("ExtendedCode")
	switch {
	case plain != nil && ext != nil:
		return func(err error) finding {
			// The extended code has the plain one in its low byte, and more.
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
		// modernc's type is called Error, in a package whose path has the name.
		named := mentions(t, "sqlite")
		return func(err error) finding { return codeMethod(err, named) }
	}
	return nil
}

// codeMethod reads a method that errors of many kinds have: one that is not named after SQLite must
// have its text.
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

// sqlite is the meaning of a result code, plain or extended: the low byte says what kind of error
// it is. A busy snapshot (517) wants the whole transaction again, as any other does no harm. SQLite
// runs in the process: what it returns an error for was not done, unless the disk failed.
func sqlite(number int) finding {
	f := rejected
	switch number & 0xff {
	case 0, 100, 101: // fine, a row, done
		return finding{}
	case 5, 6, 9, 15, 17: // busy, locked, interrupted, a lost race for locks, the schema has changed
		f = locked
	// The write may have been done in part.
	case 10, 11: // a disk that fails, a file that is damaged
		f = broken
	}
	f.detail = "sqlite " + strconv.Itoa(number)
	return f
}
