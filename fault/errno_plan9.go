package fault

import "reflect"

// Plan 9 has no error numbers: its system errors are text, and match package fs by their Is method.

func isErrno(reflect.Type) bool { return false }

func readErrno(reflect.Type) reader { return nil }
