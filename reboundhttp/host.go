package reboundhttp

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/hedge"
)

// plan is a policy for one host, without the parts that the Transport does itself. It is made once
// for each host, so that a request only looks it up.
type plan struct {
	policy   *rebound.Policy
	host     *host
	timeouts *timeouts // nil = none
	readBody bool      // Classify, RetryIf or Observe may look at the body of a bad response
	hedge    *hedge.Hedge
}

// host is what the requests to one host share.
type host struct {
	name   string
	budget *budget.Budget
	stuck  atomic.Bool  // an attempt timed out on a connection that others use
	closed atomic.Int64 // when a connection was closed after a timeout, in ns since 1970; 0 = none

	repeat  plan // of requests that may be made twice
	careful plan // of those that may not
}

// unnoticed is the time that net/http usually needs at most to detect that a connection was closed.
// Until then it may give an HTTP/2 connection to another request, which would lose an attempt.
const unnoticed = 10 * time.Millisecond

// leave reports whether the next request to h needs its own connection. The flag is loaded before
// it is swapped, because a load is cheaper and the flag is rarely set.
func (h *host) leave() bool {
	if at := h.closed.Load(); at != 0 {
		if since := time.Now().UnixNano() - at; since >= 0 && since < int64(unnoticed) {
			return true
		}
		h.closed.CompareAndSwap(at, 0)
	}
	return h.stuck.Load() && h.stuck.Swap(false)
}

// idle reports whether h can be forgotten without a loss. A policy's own budget is not part of h.
func (h *host) idle() bool { return h.budget.Level() >= h.budget.Size() }

const (
	// Bounds on memory: a crawler may meet any number of hosts.
	manyHosts = 1000  // are kept before those whose budget is full are forgotten
	maxHosts  = 10000 // are kept at most
)

// hosts are the hosts that requests were sent to.
type hosts struct {
	first atomic.Pointer[host] // mostly the only one
	rest  sync.Map             // of string to *host

	mu    sync.Mutex // guards what follows, and is held when hosts are added and forgotten
	count int        // of rest
	limit int        // of count, before hosts are forgotten; 0 = manyHosts
}

// find returns the host of that name, or nil. Most clients have a single host, so the first one is
// found without a map. It is never forgotten.
func (s *hosts) find(name string) *host {
	if h := s.first.Load(); h == nil || h.name == name {
		return h
	}
	if h, ok := s.rest.Load(name); ok {
		return h.(*host)
	}
	return nil
}

// add adds h and returns it, or the host of the same name if there is one already.
func (s *hosts) add(h *host) *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another request to the same new host may have been quicker. A host must have only one budget, so
	// this one is dropped.
	if old := s.find(h.name); old != nil {
		return old
	}
	if s.first.CompareAndSwap(nil, h) {
		return h
	}
	s.rest.Store(h.name, h)
	if s.count++; s.count > max(s.limit, manyHosts) {
		s.forget()
		// If most hosts have used their budget, a pass drops few of them. The next pass comes only when
		// there are twice as many.
		s.limit = min(2*s.count, maxHosts)
	}
	return h
}

// forget drops the hosts whose budget is full, because they would be made again in the same state.
// A host that has used its budget would get its retries back. If there are maxHosts, half of these
// are dropped as well, in no particular order.
func (s *hosts) forget() {
	s.drop((*host).idle)
	if s.count >= maxHosts {
		s.drop(func(*host) bool { return s.count > maxHosts/2 })
	}
}

// drop forgets the hosts for which is returns true. The caller holds s.mu.
func (s *hosts) drop(is func(*host) bool) {
	s.rest.Range(func(name, h any) bool {
		if is(h.(*host)) {
			s.rest.Delete(name)
			s.count--
		}
		return true
	})
}

// all yields every host.
func (s *hosts) all(yield func(*host) bool) {
	if h := s.first.Load(); h == nil || !yield(h) {
		return
	}
	s.rest.Range(func(_, h any) bool { return yield(h.(*host)) })
}
