package sim

import "time"

// An attempt that may be hedged is a race of legs, as in hedge.Do: the first request, and hedges
// that begin while there is no answer. The first success ends it. If all legs fail, the outcome is
// that of the first one.
//
// An entity has one future event. For a race it is the earliest of all ends of legs and beginnings
// of hedges. The other times stay in its legs.
//
// A leg that loses has no event for its end. The server continues to serve it, like any request
// whose caller has given up, and it only counts as an attempt. When the attempt's time is over, all
// legs under way end, and each counts as timed out.

// race begins an attempt that may be hedged. Its first leg ends at the time given.
func (x *engine) race(id uint32, now, at time.Duration, c cause) {
	// The delay applies to the whole race, even if the measured one changes in the meantime.
	r := &x.hedger.races[id]
	*r = race{start: now, due: never, delay: x.hedgeState(id).Delay(x.hedger.config),
		legs: append(r.legs[:0], x.newLeg(id, at, c))}
	if r.delay > 0 {
		r.due = now + min(r.delay, longest)
	}
	x.nextLeg(id)
}

// newLeg is a leg whose request has just reached the server.
func (x *engine) newLeg(id uint32, at time.Duration, c cause) leg {
	l := leg{at: at, cause: c}
	if x.extras != nil {
		l.after, l.quota = x.extras[id].after, x.extras[id].quota
	}
	return l
}

// hedgeState is that of the entity's process.
func (x *engine) hedgeState(id uint32) *hedgeState {
	return &x.hedger.processes[x.entities[id].top.process/uint32(x.layers[0].hosts)]
}

// nextLeg sets the next event of an attempt, unless that is after the end of the run.
func (x *engine) nextLeg(id uint32) {
	r := &x.hedger.races[id]
	if at := min(r.due, r.legs[r.first()].at); at < x.Duration {
		x.later(id, at, doLeg)
	}
}

// leg handles the event of an attempt that may be hedged. The attempt ends if a leg is answered. It
// also ends if the last leg has failed, with the outcome of the first.
func (x *engine) leg(id uint32, now time.Duration) {
	h, r := x.hedgeState(id), &x.hedger.races[id]
	i := r.first()
	l := &r.legs[i]
	// If an answer comes at the time of a hedge, the hedge does not begin.
	if r.due < l.at {
		x.hedge(id, now)
		x.nextLeg(id)
		return
	}
	l.over = true
	r.over++
	x.recall(id, l)
	x.note(id, now, l.cause)
	if l.cause == served {
		x.hedger.success(h, now-r.start)
		if i > 0 {
			x.tally.at(now).HedgesWon++
		}
		x.entities[id].cause = served
		x.succeed(id, now)
		return
	}
	// The other legs continue after this failure.
	if x.hedger.meet(h, now, l) {
		r.due = never
	}
	// The attempt is not over while a leg may still succeed.
	if r.over < len(r.legs) {
		x.nextLeg(id)
		return
	}
	h.End()
	l = &r.legs[0]
	x.recall(id, l)
	x.entities[id].cause = l.cause
	x.fail(id, 0, now, l.cause, nil)
}

// hedge begins the hedge that is due, if its process allows it and can pay for it. Otherwise no
// further hedge is due.
func (x *engine) hedge(id uint32, now time.Duration) {
	h, r := x.hedgeState(id), &x.hedger.races[id]
	f := &x.entities[id].top
	r.due = never
	if h.Hedge(now) != "" {
		return
	}
	// Undo, because the state has counted the hedge already.
	if !x.payHedge(h, f.process, now) {
		h.Undo()
		return
	}
	x.tally.hedged(now)
	// A hedge is handled like any request: it goes to a random replica, through the windows and the
	// server's limit. It ends as soon as another leg wins.
	at, c := x.reach(id, min(f.expires, r.won()), now)
	r.legs = append(r.legs, x.newLeg(id, at, c))
	if len(r.legs) <= x.hedger.most {
		r.due = now + min(r.delay, longest)
	}
}

// payHedge takes the token of a hedge.
func (x *engine) payHedge(h *hedgeState, process uint32, now time.Duration) (ok bool) {
	if l := &x.layers[0]; x.hedger.shared && l.budget != nil {
		l.budgets[process], ok = l.budgets[process].Take(*l.budget, now)
		return ok
	}
	h.tokens, ok = h.tokens.Take(x.hedger.budget, now)
	return ok
}

// recall makes the entity's extra that of a leg's answer.
func (x *engine) recall(id uint32, l *leg) {
	if x.extras != nil {
		x.extras[id].after, x.extras[id].quota = l.after, l.quota
	}
}
