package reboundtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

const (
	modelCooldown = 50 * time.Millisecond
	modelFailures = 4
)

// bugs are what a model does wrong. The first two are not mistakes.
type bugs struct {
	queue  bool // an attempt waits if all places are taken
	breaks bool // failures shut it

	extra                       int    // places beyond the limit
	leakOn                      string // an attempt with such an end keeps its place
	leakOnRefusal, leakOnCancel bool   // these take one
	stubborn, mute, sleepy      bool   // in the queue: to the context, about it, for a free place
	unmatched, stuck, alloc     bool   // errors; Leave; memory

	ignorePanic, countSkipped bool
	countOn                   string // a kind that counts as failure
	noGenerations             bool
	never, hasty              bool // the cooldown is endless, or none
	anyProbe                  bool // a probe opens it, however it ended
	leakProbe, noLease        bool // of a probe that was skipped, or lost
}

// model is a minimal bulkhead and circuit breaker in one.
type model struct {
	bugs
	places chan struct{} // nil: no limit
	stop   chan struct{} // releases what a mistake has blocked

	mu       sync.Mutex
	lost     int // places that the next to leave will not free
	gen      uint64
	failures int
	shut     bool
	since    time.Time // when it was shut
	probing  bool
	probed   time.Time
}

func newModel(limit int, b bugs) *model {
	m := &model{bugs: b, stop: make(chan struct{})}
	if limit > 0 {
		m.places = make(chan struct{}, limit+b.extra)
	}
	return m
}

var (
	errFull = errors.New("full")
	errShut = errors.New("shut")
	sink    any
)

// list is an error that cannot be compared.
type list []string

func (l list) Error() string { return "refused" }

func (m *model) Enter(ctx context.Context) (gate.Pass, error) {
	if m.alloc {
		sink = new(int)
	}
	if err := m.takePlace(ctx); err != nil {
		return gate.Pass{}, err
	}
	pass, err := m.ask()
	if err != nil {
		m.freePlace()
	}
	return pass, err
}

func (m *model) takePlace(ctx context.Context) error {
	if m.places == nil {
		return nil
	}
	select {
	case m.places <- struct{}{}:
		return nil
	default:
	}
	if !m.queue {
		m.lose(m.leakOnRefusal)
		if m.unmatched {
			return list{"full"}
		}
		return errFull
	}
	places, ended := m.places, ctx.Done()
	if m.sleepy {
		places = nil
	}
	if m.stubborn {
		ended = nil
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ended:
	case <-m.stop:
	}
	m.lose(m.leakOnCancel)
	if m.mute {
		return errFull
	}
	return context.Cause(ctx)
}

func (m *model) lose(place bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if place {
		m.lost++
	}
}

func (m *model) freePlace() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost > 0 {
		m.lost--
	} else if m.places != nil {
		<-m.places
	}
}

// ask is the breaker's part of Enter.
func (m *model) ask() (gate.Pass, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.shut {
		return gate.Pass{A: m.gen}, nil
	}
	if m.never || !m.hasty && now.Sub(m.since) < modelCooldown {
		return gate.Pass{}, errShut
	}
	if m.probing && (m.noLease || now.Sub(m.probed) < modelCooldown) {
		return gate.Pass{}, errShut
	}
	m.probing, m.probed = true, now
	m.gen++
	return gate.Pass{A: m.gen}, nil
}

func (m *model) Leave(p gate.Pass, o gate.Outcome) {
	if m.stuck {
		<-m.stop
	}
	if m.leakOn != describe(o) {
		m.freePlace()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.breaks || p.A != m.gen && !m.noGenerations {
		return
	}
	switch {
	case m.good(o):
		m.turn(false)
	case m.bad(o):
		m.failures++
		if m.failures >= modelFailures || m.shut {
			m.turn(m.failures >= modelFailures || !m.anyProbe)
		}
	default:
		m.probing = m.probing && m.leakProbe
	}
}

// turn shuts or opens the gate.
func (m *model) turn(shut bool) {
	if shut || m.shut {
		m.gen++
	}
	m.failures, m.probing = 0, false
	m.shut, m.since = shut, time.Now()
}

func (m *model) good(o gate.Outcome) bool {
	return o.Result == gate.OK || o.Fault.Kind == fault.Permanent ||
		o.Result == gate.Failed && o.Fault.Kind == fault.None && o.Fault.Err != nil
}

func (m *model) bad(o gate.Outcome) bool {
	switch {
	case o.Result == gate.Skipped:
		return m.countSkipped
	case o.Fault.Err == nil:
		return !m.ignorePanic
	}
	return o.Fault.Kind == fault.Transient || o.Fault.Kind.String() == m.countOn
}
