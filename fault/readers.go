package fault

import (
	"reflect"
	"sync"
)

// shape is what is known of an error type: how to unwrap it, and which readers fit. A type is
// examined only once; most types have no reader. Programs have few types of errors, so the map of
// shapes stays small.
type shape struct {
	described bool
	// Marks such as rebound.Permanent are Describers that a person has set, so they outrank the
	// others.
	marked  bool
	pointer bool
	wraps   uint8
	readers []reader
}

const (
	wrapsNothing uint8 = iota
	wrapsOne
	wrapsMany
)

// makers return a reader for a type, or nil. If two findings on one error have the same rank, the
// first decides; if both are weak, the last.
var makers = [...]func(reflect.Type) reader{
	readErrno, readSyscall, readNet, readTLS, readHTTP2, readSQLState, readMySQL, readSQLite,
	readSQLServer, readOracle, readKafka, readPgx, readGRPC, readConnect, readAnswer, readAWS,
	readPermanent, readText, readIs, readCanceled, readWait, readTimeout,
}

// shapes is a sync.Map, because it is written a few times and read at every failure.
var shapes sync.Map // reflect.Type → *shape

// shapeOf returns the shape of a type. Two goroutines may make it at once; both results are right,
// and either is kept.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

// newShape calls every maker. That takes microseconds, but only once for each type. A lookup in the
// map takes nanoseconds.
func newShape(t reflect.Type) *shape {
	s := &shape{
		described: t.Implements(reflect.TypeFor[Describer]()),
		marked:    t.Implements(reflect.TypeFor[interface{ Marked() }]()),
		pointer:   t.Kind() == reflect.Pointer,
	}
	switch {
	case t.Implements(reflect.TypeFor[interface{ Unwrap() error }]()):
		s.wraps = wrapsOne
	case t.Implements(reflect.TypeFor[interface{ Unwrap() []error }]()):
		s.wraps = wrapsMany
	}
	for _, maker := range makers {
		if r := maker(t); r != nil {
			s.readers = append(s.readers, r)
		}
	}
	return s
}
