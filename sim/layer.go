package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/bucket"
	"github.com/rebound-go/rebound/internal/circuit"
)

// frame is a call in one layer.
type frame struct {
	start   time.Duration
	prev    time.Duration // the wait before this attempt
	expires time.Duration // when this attempt's context ends
	pass    gate.Pass     // of the breaker
	attempt int32
	process uint32 // times the layer's hosts, plus the host that the attempt goes to
}

// layer is a service that calls the next one through a policy; the first layer is the clients.
type layer struct {
	p         *rebound.Policy
	processes int
	hosts     int           // that each process has a budget and a breaker for
	avoiding  bool          // an attempt goes to a host whose breaker lets it through
	timeout   time.Duration // of an attempt; 0 = none
	mute      bool
	workers   []*permits // of each process; nil = no limit
	service   dist       // of its own work
	busy      bool       // it has workers, or own work
	guarded   bool       // its policy has a breaker or limits

	budget   *bucket.Config    // nil = none
	budgets  []bucket.Bucket   // of each process and host
	breaker  *circuit.Config   // nil = none
	name     string            // of the breaker
	breakers []circuit.Machine // of each process and host
	gates    [][]clientLimit   // of each process; nil = none
	open     int               // breakers that are open or half-open

	faults []fault.Fault // what each cause means to the policy
	ended  fault.Fault   // what the end of the call's own context means
	errs   []error       // each cause as an error
}

func newLayer(p *rebound.Policy, processes, hosts int, timeout time.Duration, errs []error) layer {
	l := layer{p: p, processes: processes, hosts: hosts, timeout: timeout, errs: errs}
	if p.AttemptTimeout > 0 {
		l.timeout = p.AttemptTimeout
	}
	// Only the fields of the budget and the breaker are read. Each process has a state of its own, as
	// in real processes, and the policy's own stays as it is.
	if b := p.RetryBudget(); b != nil {
		l.budget = &bucket.Config{Capacity: b.Capacity, Deposit: b.Deposit, Refill: b.Refill}
		l.budgets = make([]bucket.Bucket, processes*hosts)
	}
	if p.Breaker != nil {
		l.breaker, l.name = circuit.ConfigOf(p.Breaker), p.Breaker.Name
		l.breakers = make([]circuit.Machine, processes*hosts)
	}
	l.gates = newLimits(p, processes)
	l.guarded = l.breaker != nil || l.gates != nil
	l.faults = make([]fault.Fault, len(errs))
	for c, err := range errs {
		l.faults[c] = p.Fault(context.Background(), err)
	}
	// An attempt's own timeout, and the end of MaxElapsed, are transient, whatever the policy's
	// Classify makes of the error.
	if p.AttemptTimeout|p.MaxElapsed > 0 && l.faults[expired].Kind != fault.Canceled {
		l.faults[expired].Kind = fault.Transient
	}
	// Within a context that has ended, the same error means that the caller has gone.
	over, cancel := context.WithCancel(context.Background())
	cancel()
	l.ended = p.Fault(over, context.DeadlineExceeded)
	return l
}

// admit picks the host of an attempt, and asks its breaker.
func (l *layer) admit(f *frame, now time.Duration, r *random) bool {
	if l.hosts == 1 {
		return l.enter(f, now)
	}
	first := f.process - f.process%uint32(l.hosts)
	if l.avoiding || f.attempt == 0 {
		f.process = first + uint32(r.below(l.hosts))
	}
	if l.enter(f, now) {
		return true
	}
	if !l.avoiding {
		return false
	}
	// Other random ones, so that all that are well get the same load; and at last each of them.
	for i := range 2 * l.hosts {
		host := i % l.hosts
		if i < l.hosts {
			host = r.below(l.hosts)
		}
		f.process = first + uint32(host)
		if l.enter(f, now) {
			return true
		}
	}
	return false
}

// enter asks the breaker of a call's process for an attempt. The states before and after keep the
// count of open breakers right without a look at the others.
func (l *layer) enter(f *frame, now time.Duration) (ok bool) {
	if l.breaker == nil {
		return true
	}
	b := &l.breakers[f.process]
	before := b.State(now)
	f.pass, ok = b.Enter(l.breaker, now)
	l.changed(before, b.State(now))
	return ok
}

// leave gives it the end of the attempt.
func (l *layer) leave(f *frame, now time.Duration, o gate.Outcome, r *random) {
	// Breakers without jitter draw no number: adding a breaker must not change the other draws.
	u := 0.0
	if l.breaker.CooldownJitter > 0 {
		u = r.float()
	}
	b := &l.breakers[f.process]
	before := b.State(now)
	b.Leave(l.breaker, now, f.pass, o, u)
	l.changed(before, b.State(now))
}

func (l *layer) changed(before, after circuit.State) {
	if before == circuit.Closed && after != circuit.Closed {
		l.open++
	}
	if before != circuit.Closed && after == circuit.Closed {
		l.open--
	}
}

// take asks the budget of a process for a retry after f.
func (l *layer) take(process uint32, now time.Duration, f *fault.Fault) bool {
	if l.budget == nil || f.Kind == fault.RateLimited {
		return true
	}
	s, ok := l.budgets[process].Take(*l.budget, now)
	l.budgets[process] = s
	return ok
}

// giveBack returns what take took for a retry that a breaker then refused.
func (l *layer) giveBack(process uint32, f *fault.Fault) {
	if l.budget != nil && f.Kind != fault.RateLimited {
		l.budgets[process] = l.budgets[process].Return()
	}
}

// refuses reports whether the breaker of a process or one of its limits will refuse an attempt in
// so long a time, as Policy.Refusal does.
func (l *layer) refuses(process uint32, now, in time.Duration) bool {
	return l.breakersRefuse(process, now, in) ||
		slices.ContainsFunc(l.limits(process), func(g clientLimit) bool { return g.refuses(now, in) })
}

// breakersRefuse is refuses for the breaker. Attempts that may go to another host are refused only
// if each one refuses.
func (l *layer) breakersRefuse(process uint32, now, in time.Duration) bool {
	if l.breaker == nil || l.breaker.Shadow {
		return false
	}
	one := l.breakers[process : process+1]
	if l.avoiding {
		process -= process % uint32(l.hosts)
		one = l.breakers[process : process+uint32(l.hosts)]
	}
	for i := range one {
		if one[i].Remaining(now) <= in {
			return false
		}
	}
	return true
}

// limits are those of a process, whatever host it calls: Policy.Gates bound the calls of a policy,
// and only a Transport has a breaker and a budget for each host.
func (l *layer) limits(process uint32) []clientLimit {
	if l.gates == nil {
		return nil
	}
	return l.gates[process/uint32(l.hosts)]
}

// openError is the refusal of its breaker.
func (l *layer) openError() error { return &breaker.OpenError{Name: l.name, State: breaker.Open} }

// pay pays the deposit for a call that succeeded.
func (l *layer) pay(process uint32) {
	if l.budget != nil {
		l.budgets[process] = l.budgets[process].Success(*l.budget)
	}
}

// rise is what the failure of a call in the layer below means in this one: its last attempt, if
// there was one, was caused by c and meant f there. A refusal is what rejected the next attempt.
func (l *layer) rise(
	below *layer, call *frame, reason rebound.Reason, f *fault.Fault, c cause, refusal error,
) fault.Fault {
	// Between two services only a status crosses the wire. A rejection comes back as 503; any other
	// failure as the server's own answer, with no word of the attempts made.
	if below.mute {
		if reason == rebound.Rejected {
			c = shut
		}
		up := l.faults[c]
		if up.After == asked {
			up.After = f.After
		}
		return up
	}
	// Within one program the layer above gets the engine's own error, and finds in it that retries
	// were made already.
	e := &rebound.Error{
		Attempts: int(call.attempt), Reason: reason, Fault: *f, Err: below.errs[c], Cause: refusal,
	}
	if call.attempt == 0 {
		e.Err = nil
	}
	return l.p.Fault(context.Background(), e)
}

// name is what a result calls the policy.
func name(p *rebound.Policy, i int) string {
	if p != nil && p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("policy %d", i+1)
}
