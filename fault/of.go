package fault

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
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
	if ordinary(err) {
		return Fault{Kind: Unknown, Err: err}
	}
	w := walk{left: maxNodes, seek: everything}
	w.chain(err, 0)
	if w.described != nil {
		return ask(w.described, err)
	}
	return w.conclude(err)
}

// ordinary reports whether err is text that nobody knows, wrapped by package fmt if at all, as most
// errors are. It spares them a walk, whose bookkeeping takes longer than all that it would find.
func ordinary(err error) bool {
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

// ask lets d describe itself as the fault of err.
func ask(d Describer, err error) (f Fault) {
	defer func() {
		if recover() != nil {
			f = Fault{Kind: Unknown}
		}
		f.Err = err
	}()
	return d.DescribeFault()
}

// rank says how much a finding proves. The highest wins, and among equals the outermost, save that
// what a weak finding wraps is better informed than the finding itself.
type rank uint8

const (
	nothing rank = iota
	hint         // a fact worth showing that decides nothing: Kind Unknown
	weak         // general, such as "it timed out"
	fact         // particular, such as a status or a system error number
	code         // the server's own word for it, which is more than the status that came with it
)

// reach is what an error says of all that it wraps; the outermost that says anything is believed.
type reach uint8

const (
	neverSent reach = 1 + iota // the call did not leave: a dial failed
	underWay                   // a connection stood
)

// flags are facts that predicates ask for.
type flags uint8

const (
	timeout    flags = 1 << iota // something took too long
	connection                   // no connection could be made, or it broke
	final                        // a layer below has retried already
	retry                        // the error says that it may be retried
	noRetry                      // the error says that it must not be retried
	local                        // Sent holds only if no connection stood yet
)

// finding is what one error in a tree told one reader.
type finding struct {
	rank   rank
	kind   Kind
	sent   Sent
	reach  reach
	flags  flags
	after  time.Duration
	detail string
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
		f.Kind = told(f.Kind, w.flags)
	}
	return f
}

// told lets an error's own opinion on being retried outrank what its kind is otherwise.
func told(k Kind, said flags) Kind {
	switch k {
	case None, Canceled:
		return k
	}
	switch {
	case said&noRetry != 0:
		return Permanent
	case said&retry != 0 && (k == Unknown || k == Permanent):
		return Transient
	}
	return k
}
