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

// called reports whether t, or what it points to, is the type called name of package pkg. Names do
// where the type itself would have to be imported, and so be part of every program.
func called(t reflect.Type, pkg, name string) bool {
	b := base(t)
	return b.Name() == name && b.PkgPath() == pkg
}

// title is a type's name with its package's, such as "json.SyntaxError".
func title(t reflect.Type) string { return strings.TrimPrefix(t.String(), "*") }

// mentions reports whether word is part of the name of t or of its package, in any case. It is weak
// evidence, for use beside a method or a field. Forks of drivers keep the word in their paths.
func mentions(t reflect.Type, word string) bool {
	b := base(t)
	return strings.Contains(strings.ToLower(b.PkgPath()+"."+b.Name()), word)
}

// field is the way to a field of a struct, or of a struct pointed to. A nil field is absent. It is
// an index path, found once for each type, as a search by name would be too slow for each error.
type field []int

// fieldOf finds the exported field of t that is called name and whose type fits.
func fieldOf(t reflect.Type, name string, fits func(reflect.Type) bool) field {
	b := base(t)
	if b.Kind() != reflect.Struct {
		return nil
	}
	f, ok := b.FieldByName(name)
	// An unexported field cannot be read, and may change any day.
	if !ok || !f.IsExported() || !fits(f.Type) {
		return nil
	}
	return f.Index
}

// of reads the field in err; the result is not valid if the field cannot be reached.
func (f field) of(err error) reflect.Value { return f.in(reflect.ValueOf(err)) }

func (f field) in(v reflect.Value) reflect.Value {
	v = reflect.Indirect(v)
	if f == nil || !v.IsValid() {
		return reflect.Value{}
	}
	// The way may lead through an embedded pointer that is nil.
	v, err := v.FieldByIndexErr(f)
	if err != nil {
		return reflect.Value{}
	}
	return v
}

// text is the string in the field, perhaps inside an interface; "" if there is none.
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

// number is the integer in the field; 0 if there is none.
func (f field) number(err error) int { return number(f.of(err)) }

// number reads any integer type, since SDKs have types of their own for codes.
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

// describe returns err's own description. A description that panics is none.
func describe(err Describer) (f Fault) {
	defer func() {
		if recover() != nil {
			f = Fault{Kind: Unknown}
		}
	}()
	return err.DescribeFault()
}

// isNilPointer reports whether err holds a typed nil. Its methods would panic, as a rule, and there
// is nothing in it to read.
func isNilPointer(err error) bool {
	v := reflect.ValueOf(err)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
