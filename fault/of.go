package fault

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Of returns what an error means. It needs only the error, and does not import the package that
// made it.
//
// A mark in the error's tree decides, such as rebound.Permanent. Without a mark, the outermost
// [Describer] decides. Without either, Of examines the types, methods and fields of all errors in
// the tree. It recognises errors of the standard library, system error numbers, HTTP statuses and
// the errors of SDKs that hold them, gRPC codes, SQL states and the codes of database drivers.
//
// Sent is what the whole tree proves. If an error wraps several others, as errors.Join does, each
// of them must prove that the server did not act. If one of them is an answer ([None]) and another
// a failure, the failure decides. A plain text at the start of fmt.Errorf("%w: %w", …) is a label,
// and is ignored.
//
// An error that is not recognised is [Unknown]. Of has no context: [context.Canceled] is [Canceled]
// and [context.DeadlineExceeded] is [Transient]. An expired deadline may be an attempt's own
// timeout, and only the caller's context shows whether the call has ended. A plain io.EOF is
// Transient, because it means that the peer closed the connection. A nil error is [None]. Of never
// panics, even if a method of the error does.
func Of(err error) Fault {
	if err == nil {
		return Fault{Kind: None}
	}
	if isPlain(err) {
		return Fault{Kind: Unknown, Err: err}
	}
	// A walk would end at this error anyway. The short cut saves a third of the time of an HTTP
	// status.
	if d, ok := err.(Describer); ok && !isNilPointer(err) {
		f := describe(d)
		f.Err = err
		return f
	}
	// The walk stays on the stack, so that a classification costs no allocation.
	w := walk{left: maxNodes}
	p := w.chain(err, 0)
	// A Describer decides. The exception: an answer of kind None does not hide a failure in another
	// branch.
	if !w.described || w.fault.Kind == None && w.best.rank >= fact && w.best.kind != None {
		return w.conclude(err, p)
	}
	w.fault.Sent, w.fault.Err = p.sent(), err
	return w.fault
}

// isPlain reports whether err is an unrecognised errors.New or fmt.Errorf chain, which is the
// common case. Such errors are Unknown. Skipping the walk over the tree takes 11 ns instead of 47.
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
	// These types are not exported, so they are taken from examples.
	plainType   = reflect.TypeOf(errors.New(""))
	wrapperType = reflect.TypeOf(fmt.Errorf("%w", errors.New("")))
	labelerType = reflect.TypeOf(fmt.Errorf("%w%w", errors.New(""), errors.New("")))
)

// maxNodes bounds a walk, because an error's tree may have cycles.
const maxNodes = 1000

// link is what a walk records along one chain of Unwrap methods.
type link struct {
	at        reach
	own       finding // the highest of the chain itself; of equals the outermost
	soft      finding // the innermost weak finding
	mine      bool    // the walk's best finding was made on this chain
	seen      bool    // there is an error on it
	cut       bool    // it has more errors than a walk looks at
	described bool    // it ends at a Describer, whose Sent is sent
	sent      Sent
	branched  bool  // it ends at an error that wraps several others
	branches  proof // the weakest proof of these others
}

// proof returns what the chain proves. The cases are ordered by certainty: the error's own
// statement first, then a fact, then what the surroundings show.
func (l *link) proof() proof {
	switch {
	// A Describer decides. Behind a redirect its statement is about the last request alone.
	case l.described && l.at != redirected:
		return proofOf[l.sent]
	case l.own.rank >= fact:
		return proofOf[l.own.sent]
	// What lies beyond the limit may be anything.
	case l.cut:
		return unproven
	case !l.seen:
		return nothingSeen
	// Nothing that a failed dial wraps was ever sent.
	case l.at == neverSent:
		return proofOf[NotSent]
	// Every branch has to prove that the server did not act.
	case l.branched && l.branches != nothingSeen:
		return l.branches
	case l.soft.rank == weak:
		return proofOf[l.soft.sent]
	}
	return proofOf[l.own.sent]
}

// proof is a Sent, ordered by how much it proves. In a tree with several branches the weakest
// counts, because any one of them may have been carried out.
type proof uint8

const (
	unproven    proof = iota // MaybeDone
	answered                 // NotDone
	unsentProof              // NotSent
	nothingSeen              // there is no error at all
)

var proofOf = [...]proof{MaybeDone: unproven, NotDone: answered, NotSent: unsentProof}

func (p proof) sent() Sent {
	switch p {
	case answered:
		return NotDone
	case unsentProof:
		return NotSent
	}
	return MaybeDone
}

// walk is one depth-first pass over an error's tree, with what it has gathered so far. Readers
// return their findings and do not receive the walk, so that the compiler can keep it on the stack.
type walk struct {
	left      int
	through   bool  // examine the errors inside Describers
	described bool  // there is a Describer
	marked    bool  // and it is a mark
	fault     Fault // of the outermost
	best      finding
	flags     flags
	after     time.Duration
}

// chain walks along err's Unwrap methods and returns what they prove about Sent. at is the reach of
// the errors around err. If a method panics, the rest of this chain is not examined.
func (w *walk) chain(err error, at reach) (p proof) {
	l := link{at: at}
	defer w.end(&l, &p)
	for err != nil {
		if w.left == 0 {
			l.cut = true
			return
		}
		// The whole tree shares one limit: there may be as many branches as a chain is long.
		w.left--
		s := shapeOf(reflect.TypeOf(err))
		// A typed nil pointer has nothing to read, and its methods would panic.
		if s.pointer && isNilPointer(err) {
			return
		}
		l.seen = true
		if s.described && !w.through {
			w.describe(err, s, &l)
			return
		}
		for _, read := range s.readers {
			if f := read(err); f.rank != nothing || f.flags != 0 || f.reach != 0 {
				w.take(f, &l)
			}
		}
		err = w.next(err, s, &l)
	}
	return
}

// describe records the outermost Describer. A mark outranks it, even one further inside.
func (w *walk) describe(err error, s *shape, l *link) {
	f := describe(err.(Describer))
	l.described, l.sent = true, f.Sent
	if !w.described || s.marked && !w.marked ||
		!w.marked && w.fault.Kind == None && f.Kind != None {
		w.described, w.marked, w.fault = true, s.marked, f
	}
}

// end ends a chain. A weak finding becomes a fact if nothing that it wraps was more specific. It
// then competes with the facts of other chains too.
func (w *walk) end(l *link, p *proof) {
	// A panic in a method of the error ends this chain only. What was found before it counts.
	_ = recover()
	if l.soft.rank == weak {
		l.soft.rank = fact
		if w.yields(l.soft, l) {
			w.best = l.soft
		}
		l.soft.rank = weak
	}
	*p = l.proof()
}

// next returns the error that err wraps. If there are several, it walks them all and returns nil.
func (w *walk) next(err error, s *shape, l *link) error {
	switch s.wraps {
	case wrapsOne:
		return err.(interface{ Unwrap() error }).Unwrap()
	case wrapsMany:
		l.branched, l.branches = true, nothingSeen
		for i, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			// A label stands first, before what it names.
			if i == 0 && isLabel(e, err) {
				continue
			}
			l.branches = min(l.branches, w.chain(e, l.at))
		}
	}
	return nil
}

// isLabel reports whether e is the name that fmt.Errorf("%w: %w", e, cause) gives to a failure, and
// not a failure itself.
func isLabel(e, outer error) bool {
	return reflect.TypeOf(outer) == labelerType && e != nil && isPlain(e) &&
		strings.HasPrefix(outer.Error(), e.Error())
}

// take adds one finding to what is known. Flags and delays count wherever they are found; kinds and
// proofs compete.
func (w *walk) take(f finding, l *link) {
	w.flags |= f.flags
	w.after = cmp.Or(w.after, f.after)
	// The outermost reach decides: what surrounds a dial is better informed than the dial.
	if f.reach != 0 && l.at == 0 {
		l.at = f.reach
		if l.at == neverSent && l.own.flags&connection != 0 {
			l.own.sent = NotSent // what broke off never began, as its cause shows
		}
	}
	switch {
	case l.at == neverSent:
		f.sent = NotSent
	// What failed is a later request, or a later packet. What came before may have been carried out.
	case l.at == redirected, l.at == underWay && f.flags&local != 0:
		f.sent = MaybeDone
	}
	// A weak finding waits until the chain ends, because what this error wraps may be more specific.
	if f.rank == weak {
		l.soft = f
		return
	}
	if f.rank > l.own.rank {
		l.own = f
	}
	if w.yields(f, l) {
		w.best = f
		l.mine = true
	}
}

// yields reports whether the best finding so far gives way to f, which is on the chain l. An answer
// gives way to any failure beside it.
func (w *walk) yields(f finding, l *link) bool {
	return f.rank > w.best.rank ||
		f.rank >= fact && w.best.kind == None && w.best.rank != nothing && !l.mine
}

// conclude makes a Fault from what the walk has gathered.
func (w *walk) conclude(err error, p proof) Fault {
	b := w.best
	f := Fault{Kind: b.kind, Sent: p.sent(), Detail: b.detail, Err: err}
	f.After = cmp.Or(b.after, w.after)
	f.Final = w.flags&final != 0
	if b.rank == nothing {
		f.Kind = Unknown
	}
	// The server's own code outranks the SDK's hint whether to retry.
	if b.rank < code {
		f.Kind = applyRetryHint(f.Kind, w.flags)
	}
	return f
}
