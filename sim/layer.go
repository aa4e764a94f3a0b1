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

// layer is a service that calls the next one under a policy. The first layer is the clients.
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

// newLayer prepares a layer. It asks the policy's classifier about every cause once, because a
// classifier may be slow and each cause always has the same error.
func newLayer(p *rebound.Policy, processes, hosts int, timeout time.Duration, errs []error) layer {
	l := layer{p: p, processes: processes, hosts: hosts, timeout: timeout, errs: errs}
	// The policy's timeout replaces the clients' own.
	if p.AttemptTimeout > 0 {
		l.timeout = p.AttemptTimeout
	}
	// Only the fields of the budget and the breaker are read. Each process has its own state, as in
	// real processes, and the policy's own state does not change.
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
	// An attempt's own timeout, and the end of MaxElapsed, are transient. The policy's Classify cannot
	// change that.
	if p.AttemptTimeout|p.MaxElapsed > 0 && l.faults[expired].Kind != fault.Canceled {
		l.faults[expired].Kind = fault.Transient
	}
	// In a context that has ended, the same error means that the caller has given up.
	over, cancel := context.WithCancel(context.Background())
	cancel()
	l.ended = p.Fault(over, context.DeadlineExceeded)
	return l
}

// admit selects the host of an attempt, and asks its breaker.
func (l *layer) admit(f *frame, now time.Duration, r *random) bool {
	if l.hosts == 1 {
		return l.enter(f, now)
	}
	first := f.process - f.process%uint32(l.hosts)
	// A sticky call keeps the host of its first attempt.
	if l.avoiding || f.attempt == 0 {
		f.process = first + uint32(r.below(l.hosts))
	}
	if l.enter(f, now) {
		return true
	}
	// The breaker of that host rejects the call, as in a Transport.
	if !l.avoiding {
		return false
	}
	// First random hosts, so that all healthy hosts get the same load, and then each of them.
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
// count of open breakers correct without a look at the others.
func (l *layer) enter(f *frame, now time.Duration) (ok bool) {
	// Most scenarios have none.
	if l.breaker == nil {
		return true
	}
	b := &l.breakers[f.process]
	before := b.State(now)
	f.pass, ok = b.Enter(l.breaker, now)
	l.changed(before, b.State(now))
	return ok
}

// leave reports the end of the attempt to the breaker.
func (l *layer) leave(f *frame, now time.Duration, o gate.Outcome, r *random) {
	// A breaker without jitter draws no number, because adding such a breaker must not change other
	// draws.
	u := 0.0
	if l.breaker.CooldownJitter > 0 {
		u = r.float()
	}
	b := &l.breakers[f.process]
	before := b.State(now)
	b.Leave(l.breaker, now, f.pass, o, u)
	l.changed(before, b.State(now))
}

// changed keeps the count of breakers that are not closed.
func (l *layer) changed(before, after circuit.State) {
	if before == circuit.Closed && after != circuit.Closed {
		l.open++
	}
	if before != circuit.Closed && after == circuit.Closed {
		l.open--
	}
}

// take charges the budget of a process for a retry after f. As in Policy, a retry after RateLimited
// is free.
func (l *layer) take(process uint32, now time.Duration, f *fault.Fault) bool {
	if l.budget == nil || f.Kind == fault.RateLimited {
		return true
	}
	s, ok := l.budgets[process].Take(*l.budget, now)
	l.budgets[process] = s
	return ok
}

// giveBack returns the charge for a retry that a breaker or a limit then rejected.
func (l *layer) giveBack(process uint32, f *fault.Fault) {
	if l.budget != nil && f.Kind != fault.RateLimited {
		l.budgets[process] = l.budgets[process].Return()
	}
}

// refuses reports whether the breaker of a process, or one of its limits, will reject an attempt
// after that delay, as the Refusal methods do.
func (l *layer) refuses(process uint32, now, in time.Duration) bool {
	return l.breakersRefuse(process, now, in) ||
		slices.ContainsFunc(l.limits(process), func(g clientLimit) bool { return g.refuses(now, in) })
}

// breakersRefuse is refuses for the breaker. If attempts may go to another host, every host's
// breaker must reject.
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

// limits returns the limits of a process, for all hosts. Policy.Gates apply to all calls of a
// policy. Only a Transport has a breaker and a budget for each host.
func (l *layer) limits(process uint32) []clientLimit {
	if l.gates == nil {
		return nil
	}
	return l.gates[process/uint32(l.hosts)]
}

// openError is the rejection by the layer's breaker.
func (l *layer) openError() error { return &breaker.OpenError{Name: l.name, State: breaker.Open} }

// pay pays the deposit for a call that succeeded.
func (l *layer) pay(process uint32) {
	if l.budget != nil {
		l.budgets[process] = l.budgets[process].Success(*l.budget)
	}
}

// rise is what the failure of a call in the layer below means in this layer. The call's last
// attempt, if there was one, ended with c and meant f there. refusal is what rejected the next
// attempt.
func (l *layer) rise(
	below *layer, call *frame, reason rebound.Reason, f *fault.Fault, c cause, refusal error,
) fault.Fault {
	// Between two services only a status is transmitted. A rejection becomes a 503, any other failure
	// the server's own answer. Neither shows that attempts were made.
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
	// Within one program the layer above gets the engine's own error, which shows that there were
	// retries.
	e := &rebound.Error{
		Attempts: int(call.attempt), Reason: reason, Fault: *f, Err: below.errs[c], Cause: refusal,
	}
	// No attempt was made, so there is no error of one.
	if call.attempt == 0 {
		e.Err = nil
	}
	return l.p.Fault(context.Background(), e)
}

// name is the name of a policy in a result.
func name(p *rebound.Policy, i int) string {
	// The number is the one that people count with, from 1.
	if p != nil && p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("policy %d", i+1)
}
