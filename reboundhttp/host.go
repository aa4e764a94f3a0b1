package reboundhttp

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/hedge"
)

// plan is a policy as the Transport carries it out: a copy made for one host, without what the
// Transport does itself.
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
	closed atomic.Int64 // when a connection was closed after a timeout, in ns since 1970; 0 = not now

	repeat  plan // of requests that may be made twice
	careful plan // of those that may not
}

// unnoticed is how long net/http may take to notice that a connection was closed. Until then it may
// give an HTTP/2 connection to another request, whose failure does not show that it was not sent.
const unnoticed = 10 * time.Millisecond

// leave reports whether the next request to h needs a connection of its own. Loading a flag costs
// less than swapping it.
func (h *host) leave() bool {
	if at := h.closed.Load(); at != 0 {
		if since := time.Now().UnixNano() - at; since >= 0 && since < int64(unnoticed) {
			return true
		}
		h.closed.CompareAndSwap(at, 0)
	}
	return h.stuck.Load() && h.stuck.Swap(false)
}

// idle reports whether nothing would be lost if h were forgotten. A budget that the policy has of
// its own outlives h.
func (h *host) idle() bool { return h.budget.Level() >= h.budget.Size() }

const (
	manyHosts = 1000  // are kept before those whose budget is full are forgotten
	maxHosts  = 10000 // are kept at most
)

// hosts remembers the hosts that requests went to.
type hosts struct {
	first atomic.Pointer[host] // mostly the only one
	rest  sync.Map             // of string to *host

	mu    sync.Mutex // guards what follows, and is held when hosts are added and forgotten
	count int        // of rest
	limit int        // of count, before hosts are forgotten; 0 = manyHosts
}

// find returns the host of a name that is known, or nil. Most clients have a single host, so the
// first one costs no look into a map. It is never forgotten.
func (s *hosts) find(name string) *host {
	if h := s.first.Load(); h == nil || h.name == name {
		return h
	}
	if h, ok := s.rest.Load(name); ok {
		return h.(*host)
	}
	return nil
}

func (s *hosts) add(h *host) *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another request to a new host may have been quicker. There must be one budget, so this one's is
	// dropped.
	if old := s.find(h.name); old != nil {
		return old
	}
	if s.first.CompareAndSwap(nil, h) {
		return h
	}
	s.rest.Store(h.name, h)
	if s.count++; s.count > max(s.limit, manyHosts) {
		s.forget()
		s.limit = min(2*s.count, maxHosts) // if most are in debt, let some time pass
	}
	return h
}

// forget drops the hosts whose budget is full: they are made anew as they were. A host in debt
// would get its retries back. Half of those are dropped, whichever come first, when there are
// maxHosts of them.
func (s *hosts) forget() {
	s.drop((*host).idle)
	if s.count >= maxHosts {
		s.drop(func(*host) bool { return s.count > maxHosts/2 })
	}
}

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
