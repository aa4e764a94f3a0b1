// Package distinct distinguishes objects by identity: a breaker or a limit may be given in several
// places and is shown once.
package distinct

import "reflect"

// Objects are those that were added.
type Objects map[any]bool

// Add reports whether an object is there and new. One of a type that cannot be a map's key is
// always new: using it as one would panic.
func (o *Objects) Add(object any) bool {
	v := reflect.ValueOf(object)
	switch {
	case !v.IsValid(), v.Kind() == reflect.Pointer && v.IsNil():
		return false
	case !v.Comparable():
		return true
	case *o == nil:
		*o = make(Objects)
	}
	met := (*o)[object]
	(*o)[object] = true
	return !met
}
