// Package distinct distinguishes objects by identity. A breaker or a limit may be listed in several
// places, but is shown once.
package distinct

import "reflect"

// Objects are the objects that were added.
type Objects map[any]bool

// Add reports whether an object is not nil and new. An object whose type cannot be the key of a map
// is always new, because using it as a key would panic.
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
