package fault

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// Of reads what an error means from the error alone, without importing what made it: the outermost
// [Describer] error in its tree decides, a mark among them; else errors of the standard library,
// system error numbers, HTTP statuses and the SDK errors that carry them, gRPC codes, SQL states
// and the codes of database drivers are known by type, method and field, through any wrapping.
//
// An error that nobody recognises is [Unknown]. Of sees no context: [context.Canceled] is
// [Canceled] and [context.DeadlineExceeded] is [Transient], since an attempt's own timeout and an
// HTTP client's look the same; whether the caller gave up, only the caller's context can tell.
// A bare io.EOF is Transient: as the outcome of a call it is a connection that the peer closed.
// A nil error is [None]. Of never panics, whatever the error's methods do.
func Of(err error) Fault {
	if err == nil {
		return Fault{Kind: None}
	}
	if isPlain(err) {
		return Fault{Kind: Unknown, Err: err}
	}
	w := walk{left: maxNodes, seek: everything}
	w.chain(err, 0)
	if w.described != nil {
		return describe(w.described, err)
	}
	return w.conclude(err)
}

// isPlain reports whether err is an unrecognised errors.New or fmt.Errorf chain, the common case.
// Such errors are Unknown; skipping the tree walk costs 11 ns instead of 47.
func isPlain(err error) bool {
	for err != nil {
		t := reflect.TypeOf(err)
		if t == plainType {
			return !reflect.ValueOf(err).IsNil() && phraseIn(err.Error()) == nil
		}
		if t != wrapperType || reflect.ValueOf(err).IsNil() {
			return false
		}
		err = errors.Unwrap(err)
	}
	return true
}

var (
	plainType   = reflect.TypeOf(errors.New(""))
	wrapperType = reflect.TypeOf(fmt.Errorf("%w", errors.New("")))
)

// describe returns d's own description as the fault of err.
func describe(d Describer, err error) (f Fault) {
	defer func() {
		if recover() != nil {
			f = Fault{Kind: Unknown}
		}
		f.Err = err
	}()
	return d.DescribeFault()
}

// maxNodes bounds a walk: an error's tree may have cycles.
const maxNodes = 1000

const (
	everything = iota // read findings, end at the first Describer error
	facts             // read findings, see through Describer errors
	marks             // look for the first Describer error alone
)

// walk is one look over an error's tree, depth first, and what it has gathered so far. Readers
// return their findings instead of being passed the walk, so that it stays on the stack.
type walk struct {
	left      int
	seek      int
	described Describer // outermost, of everything and marks
	best      finding
	flags     flags
	after     time.Duration
}

// chain walks along err's Unwrap methods. at is what the errors around err said of it. What lies
// behind a method that panics is abandoned.
func (w *walk) chain(err error, at reach) {
	l := link{at: at}
	defer w.end(&l)
	for err != nil && w.left > 0 && w.described == nil {
		w.left--
		s := shapeOf(reflect.TypeOf(err))
		if s.pointer && reflect.ValueOf(err).IsNil() {
			break
		}
		if s.described && w.seek != facts {
			w.described, _ = err.(Describer)
			return
		}
		if w.seek != marks {
			for _, read := range s.readers {
				if f := read(err); f.rank != nothing || f.flags != 0 || f.reach != 0 {
					w.take(f, &l)
				}
			}
		}
		err = w.next(err, s, l.at)
	}
}

// end ends a chain: a weak finding on which nothing that it wraps could better is as good as a
// fact, also beside facts that siblings of the chain may hold.
func (w *walk) end(l *link) {
	_ = recover()
	if l.soft.rank == weak && w.best.rank < fact {
		w.best = l.soft
		w.best.rank = fact
	}
}

// next returns the error that err wraps; several it walks itself.
func (w *walk) next(err error, s *shape, at reach) error {
	switch s.wraps {
	case wrapsOne:
		return err.(interface{ Unwrap() error }).Unwrap()
	case wrapsMany:
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			w.chain(e, at)
		}
	}
	return nil
}

// link is what a walk remembers along one chain.
type link struct {
	at   reach
	soft finding // the innermost weak finding
	mine bool    // the walk's best finding was made on this chain
}

// take adds one finding to what is known.
func (w *walk) take(f finding, l *link) {
	w.flags |= f.flags
	w.after = cmp.Or(w.after, f.after)
	if f.reach != 0 && l.at == 0 {
		l.at = f.reach
		if l.at == neverSent && l.mine && w.best.flags&connection != 0 {
			w.best.sent = NotSent // what broke off never began, as its cause shows
		}
	}
	switch {
	case l.at == neverSent:
		f.sent = NotSent
	case l.at == underWay && f.flags&local != 0:
		f.sent = MaybeDone
	}
	switch {
	case f.rank == weak:
		l.soft = f
	case f.rank > w.best.rank:
		w.best, l.mine = f, true
	}
}

func (w *walk) conclude(err error) Fault {
	b := w.best
	f := Fault{Kind: b.kind, Sent: b.sent, Detail: b.detail, Err: err}
	f.After = cmp.Or(b.after, w.after)
	f.Final = w.flags&final != 0
	if b.rank == nothing {
		f.Kind = Unknown
	}
	if b.rank < code {
		f.Kind = applyRetryHint(f.Kind, w.flags)
	}
	return f
}

// shape is what is known of a type of error: how to unwrap it, and which readers fit. A type is
// examined once; most have no reader at all.
type shape struct {
	described bool
	pointer   bool
	wraps     uint8
	readers   []reader
}

const (
	wrapsNothing uint8 = iota
	wrapsOne
	wrapsMany
)

// makers return a reader for a type, or nil. Of two findings on one error that prove the same, the
// first decides; of two weak ones, the last.
var makers = [...]func(reflect.Type) reader{
	readErrno, readFile, readNet, readHTTP2, readSQLState, readMySQL, readSQLite, readSQLServer,
	readOracle, readPgx, readGRPC, readConnect, readAnswer, readAWS, readPermanent, readText,
	readIs, readCanceled, readWait, readTimeout,
}

var shapes sync.Map // reflect.Type → *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	s := &shape{
		described: t.Implements(reflect.TypeFor[Describer]()),
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
