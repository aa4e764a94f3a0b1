package sim

import (
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/limit"
)

// permits is a limit.Concurrency or, with a law, a limit.Adaptive. The queue of package limit needs
// locks. Its rules are few, so they are written again here, and the differential test compares the
// two.
type permits struct {
	most   int           // attempts at a time
	queue  int           // the most that may wait
	wait   time.Duration // 0 = as long as the call may last
	law    law           // nil = most stays
	inside int           // attempts that have a permit
	line   line
}

// law changes a limit according to what attempts show. add returns the limit after a sample. Tests
// compare other laws with the one of limit.Adaptive.
type law interface {
	add(now time.Duration, s adaptive.Sample) (most int)
}

// follower is the law of a limit.Adaptive.
type follower struct {
	config *adaptive.Config
	limit  adaptive.Limit
}

func (f *follower) add(now time.Duration, s adaptive.Sample) int {
	f.limit.Add(f.config, now, s)
	return f.limit.Now(f.config)
}

// newAdaptive reads the fields of an Adaptive, whose zeros package adaptive replaces by defaults.
func newAdaptive(a *limit.Adaptive) *permits {
	f := &follower{config: &adaptive.Config{
		Initial: a.Initial, Min: a.Min, Max: a.Max, Target: a.Target, SlowStart: a.SlowStart,
	}}
	return &permits{most: f.limit.Now(f.config), queue: a.Queue, wait: a.Wait, law: f}
}

// newWorkers returns the workers of each process of a layer, or nil for any number. A worker is a
// permit that a call keeps until it ends, retries and delays included.
func newWorkers(l *Layer) []*permits {
	if l.Workers == 0 {
		return nil
	}
	queue := max(l.Queue, 0)
	// Any number may wait, which is never more than there are entities.
	if l.Queue == 0 {
		queue = maxClients
	}
	all := make([]*permits, l.Processes)
	for i := range all {
		all[i] = &permits{most: l.Workers, queue: queue}
	}
	return all
}

// enter takes a permit only if the queue is empty, even if one is free: the limit may have been
// lower before, and those in the queue come first.
func (p *permits) enter(id uint32, now, last time.Duration, _ *random) (entry, time.Duration) {
	switch {
	case p.inside < p.most && len(p.line) == 0:
		p.inside++
		return admitted, now
	case len(p.line) >= p.queue:
		return rejected, now
	}
	w := waiter{id: id, turn: never, last: until(now, p.wait, last)}
	p.line = append(p.line, w)
	return queued, w.due()
}

// wake is called only for an entity that has waited too long. Permits are handed over by next.
func (p *permits) wake(id uint32, now time.Duration) (entry, time.Duration) {
	p.line.remove(id)
	return rejected, now
}

// pass holds the number of attempts under way, including this one. The law uses it to check whether
// its limit is in use.
func (p *permits) pass(now time.Duration) gate.Pass {
	return gate.Pass{A: uint64(now), B: uint64(p.inside)}
}

func (p *permits) leave(now time.Duration, pass gate.Pass, o gate.Outcome) {
	p.inside--
	if p.law == nil {
		return
	}
	if v := adaptive.Judge(o); v != adaptive.Ignored {
		p.most = p.law.add(now, adaptive.Sample{
			Latency: now - time.Duration(pass.A), InFlight: int(pass.B), Verdict: v,
		})
	}
}

// next hands a permit to the first in the line, as package limit does, so that a later attempt
// cannot take it.
func (p *permits) next() (uint32, bool) {
	if len(p.line) == 0 || p.inside >= p.most {
		return 0, false
	}
	p.inside++
	w, _ := p.line.remove(p.line[0].id)
	return w.id, true
}

func (p *permits) moved() line { return nil }

// refuses is false for every delay above 0, because it is unknown when a permit will be free.
func (p *permits) refuses(_, delay time.Duration) bool {
	return delay == 0 && p.inside >= p.most && len(p.line) >= p.queue
}

// rejection has no delay, because it is unknown when a permit will be free.
func (p *permits) rejection(time.Duration) fault.Fault {
	return ours(fault.Overloaded, 0, "concurrency limit reached")
}

func (p *permits) level() (most, waiting int) {
	if p.law == nil {
		return 0, len(p.line)
	}
	return p.most, len(p.line)
}
