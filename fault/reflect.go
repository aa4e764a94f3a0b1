package fault

import (
	"reflect"
	"strings"
)

// has reports whether t has the methods of the interface I. Methods are better evidence than names:
// they are part of an API that its users rely on.
func has[I any](t reflect.Type) bool { return t.Implements(reflect.TypeFor[I]()) }

// base is the type that a pointer points to, or the type itself.
func base(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// called reports whether t, or what it points to, is the type of that name in package pkg. A name
// is used where importing the type would add its package to every program.
func called(t reflect.Type, pkg, name string) bool {
	b := base(t)
	return b.Name() == name && b.PkgPath() == pkg
}

// title is the name of a type with its package, such as "json.SyntaxError".
func title(t reflect.Type) string { return strings.TrimPrefix(t.String(), "*") }

// mentions reports whether word is part of the name of t or of its package, in any case. That is
// weak evidence, to be used together with a method or a field. Forks of drivers keep the word in
// their import paths.
func mentions(t reflect.Type, word string) bool {
	b := base(t)
	return strings.Contains(strings.ToLower(b.PkgPath()+"."+b.Name()), word)
}

// field is the path to a field of a struct, or of a struct pointed to. A nil field is absent. The
// path is found once for each type, because a search by name would be too slow for each error.
type field []int

// fieldOf finds the exported field of t with that name, if its type fits.
func fieldOf(t reflect.Type, name string, fits func(reflect.Type) bool) field {
	b := base(t)
	if b.Kind() != reflect.Struct {
		return nil
	}
	f, ok := b.FieldByName(name)
	// An unexported field cannot be read, and may change in any release.
	if !ok || !f.IsExported() || !fits(f.Type) {
		return nil
	}
	return f.Index
}

// of reads the field in err. The result is the zero Value if the field is absent or out of reach.
func (f field) of(err error) reflect.Value { return f.in(reflect.ValueOf(err)) }

func (f field) in(v reflect.Value) reflect.Value {
	v = reflect.Indirect(v)
	if f == nil || !v.IsValid() {
		return reflect.Value{}
	}
	// The path may lead through an embedded pointer that is nil.
	v, err := v.FieldByIndexErr(f)
	if err != nil {
		return reflect.Value{}
	}
	return v
}

// text is the string in the field, perhaps inside an interface, or "" if there is none.
func (f field) text(err error) string {
	v := f.of(err)
	if v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() != reflect.String {
		return ""
	}
	return v.String()
}

// number is the integer in the field, or 0 if there is none.
func (f field) number(err error) int { return number(f.of(err)) }

// number reads any integer type, because SDKs define their own types for codes.
func number(v reflect.Value) int {
	switch {
	case v.IsValid() && v.CanInt():
		return int(v.Int())
	case v.IsValid() && v.CanUint():
		return int(v.Uint())
	}
	return 0
}

func isInt(t reflect.Type) bool { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 }

func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Interface
}

func isBool(t reflect.Type) bool { return t.Kind() == reflect.Bool }

func is[T any](t reflect.Type) bool { return t == reflect.TypeFor[T]() }

// describe returns err's own description. If that panics, the error counts as undescribed, so that
// a faulty error type cannot end the program.
func describe(err Describer) (f Fault) {
	defer func() {
		if recover() != nil {
			f = Fault{Kind: Unknown}
		}
	}()
	return err.DescribeFault()
}

// isNilPointer reports whether err holds a typed nil pointer. It has nothing to read, and its
// methods would usually panic.
func isNilPointer(err error) bool {
	v := reflect.ValueOf(err)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
