package fault

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Of reads what an error means from the error alone, without importing what made it: a mark in its
// tree decides, or the outermost [Describer] error; else errors of the standard library,
// system error numbers, HTTP statuses and the SDK errors that carry them, gRPC codes, SQL states
// and the codes of database drivers are known by type, method and field, through any wrapping.
//
// Sent is what the whole tree proves. Of several errors that one wraps, as errors.Join does, each
// has to prove that the server did not act, and a kind of [None] does not outlive another that
// failed. A plain text at the beginning of fmt.Errorf("%w: %w", …) is a label, which proves
// nothing and disproves nothing.
//
// An error that is not recognised is [Unknown]. Of sees no context: [context.Canceled] is
// [Canceled] and [context.DeadlineExceeded] is [Transient], since an attempt's own timeout and an
// HTTP client's look the same; only the caller's context shows whether the caller gave up.
// A bare io.EOF is Transient: as the outcome of a call it is a connection that the peer closed.
// A nil error is [None]. Of never panics, whatever the error's methods do.
func Of(err error) Fault {
	if err == nil {
		return Fault{Kind: None}
	}
	if isPlain(err) {
		return Fault{Kind: Unknown, Err: err}
	}
	// A walk would end at the first error. This saves a third of the time of an HTTP status.
	if d, ok := err.(Describer); ok && !isNilPointer(err) {
		f := describe(d)
		f.Err = err
		return f
	}
	// The walk stays on the stack, so that a classification costs no allocation.
	w := walk{left: maxNodes}
	p := w.chain(err, 0)
	// A Describer decides, except that its answer cannot hide a failure beside it.
	if !w.described || w.fault.Kind == None && w.best.rank >= fact && w.best.kind != None {
		return w.conclude(err, p)
	}
	w.fault.Sent, w.fault.Err = p.sent(), err
	return w.fault
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
	// These types are not exported, so examples of them are asked.
	plainType   = reflect.TypeOf(errors.New(""))
	wrapperType = reflect.TypeOf(fmt.Errorf("%w", errors.New("")))
	labelerType = reflect.TypeOf(fmt.Errorf("%w%w", errors.New(""), errors.New("")))
)

// maxNodes bounds a walk: an error's tree may have cycles.
const maxNodes = 1000

// link is what a walk remembers along one chain.
type link struct {
	at        reach
	own       finding // the highest of the chain itself; of equals the outermost
	soft      finding // the innermost weak finding
	mine      bool    // the walk's best finding was made on this chain
	seen      bool    // there is an error on it
	cut       bool    // it has more errors than a walk looks at
	described bool    // it ends at a Describer, whose Sent is sent
	sent      Sent
	branched  bool  // it ends at an error that wraps several
	branches  proof // of which this is the weakest proof
}

// proof returns what the chain proves. The cases are in the order of certainty: an own statement, a
// fact, then what the surroundings show.
func (l *link) proof() proof {
	switch {
	// A Describer decides. Behind a redirect that is about the last request alone.
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
	// Each branch has to prove that the server did not act.
	case l.branched && l.branches != nothingSeen:
		return l.branches
	case l.soft.rank == weak:
		return proofOf[l.soft.sent]
	}
	return proofOf[l.own.sent]
}

// proof is a Sent in the order of what it proves. Of a tree with several branches the weakest
// counts: one of them may have been carried out.
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

// walk is one look over an error's tree, depth first, and what it has gathered so far. Readers
// return their findings instead of being passed the walk, so that it stays on the stack.
type walk struct {
	left      int
	through   bool  // see through Describers
	described bool  // there is a Describer
	marked    bool  // and it is a mark
	fault     Fault // of the outermost
	best      finding
	flags     flags
	after     time.Duration
}

// chain walks along err's Unwrap methods, and returns what they prove about Sent. at is what the
// errors around err have shown. What lies behind a method that panics is abandoned.
func (w *walk) chain(err error, at reach) (p proof) {
	l := link{at: at}
	defer w.end(&l, &p)
	for err != nil {
		if w.left == 0 {
			l.cut = true
			return
		}
		// The whole tree shares one limit, as branches may be as many as a chain is long.
		w.left--
		s := shapeOf(reflect.TypeOf(err))
		// A typed nil pointer: its methods would panic, and there is nothing to read.
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

// describe notes a Describer, of which the outermost decides, or a mark beside it.
func (w *walk) describe(err error, s *shape, l *link) {
	f := describe(err.(Describer))
	l.described, l.sent = true, f.Sent
	if !w.described || s.marked && !w.marked ||
		!w.marked && w.fault.Kind == None && f.Kind != None {
		w.described, w.marked, w.fault = true, s.marked, f
	}
}

// end ends a chain: a weak finding on which nothing that it wraps could better is as good as a
// fact, also beside facts that siblings of the chain may hold.
func (w *walk) end(l *link, p *proof) {
	// A panic in a method of the error ends this chain alone; what was found before it counts.
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

// next returns the error that err wraps; several it walks itself.
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
// not a failure of its own.
func isLabel(e, outer error) bool {
	return reflect.TypeOf(outer) == labelerType && e != nil && isPlain(e) &&
		strings.HasPrefix(outer.Error(), e.Error())
}

// take adds one finding to what is known. Flags and delays count wherever they are; kinds and
// proofs compete.
func (w *walk) take(f finding, l *link) {
	w.flags |= f.flags
	w.after = cmp.Or(w.after, f.after)
	// The outermost decides: what is around a dial knows more than the dial.
	if f.reach != 0 && l.at == 0 {
		l.at = f.reach
		if l.at == neverSent && l.own.flags&connection != 0 {
			l.own.sent = NotSent // what broke off never began, as its cause shows
		}
	}
	switch {
	case l.at == neverSent:
		f.sent = NotSent
	// A later request failed, or a later packet: what came before may have been carried out.
	case l.at == redirected, l.at == underWay && f.flags&local != 0:
		f.sent = MaybeDone
	}
	// Kept aside until the chain ends, as what this error wraps may be better informed.
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

// yields reports whether the best finding so far gives way to f, of the chain l. An answer is none
// if anything beside it failed.
func (w *walk) yields(f finding, l *link) bool {
	return f.rank > w.best.rank ||
		f.rank >= fact && w.best.kind == None && w.best.rank != nothing && !l.mine
}

// conclude makes a Fault of what the walk has gathered.
func (w *walk) conclude(err error, p proof) Fault {
	b := w.best
	f := Fault{Kind: b.kind, Sent: p.sent(), Detail: b.detail, Err: err}
	f.After = cmp.Or(b.after, w.after)
	f.Final = w.flags&final != 0
	if b.rank == nothing {
		f.Kind = Unknown
	}
	// The server's own code is more than what the SDK makes of it.
	if b.rank < code {
		f.Kind = applyRetryHint(f.Kind, w.flags)
	}
	return f
}
