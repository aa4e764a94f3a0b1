package policyfile

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// Gate is one limit of package limit. Exactly one field is set.
type Gate struct {
	// Concurrency bounds the attempts under way.
	Concurrency *Concurrency `json:"concurrency,omitempty"`

	// Rate bounds the attempts in a period.
	Rate *Rate `json:"rate,omitempty"`

	// Adaptive bounds the attempts under way, by a limit that follows the latency.
	Adaptive *Adaptive `json:"adaptive,omitempty"`

	// Throttle rejects a share of the attempts while the service accepts few of them.
	Throttle *Throttle `json:"throttle,omitempty"`
}

// Concurrency is a limit.Concurrency.
type Concurrency struct {
	// Name is the limit's name in errors and snapshots. Default: the policy's name.
	Name string `json:"name,omitzero" zero:"the policy's name"`

	// Max is the most attempts at a time. Default: 100.
	Max int `json:"max,omitzero" zero:"100"`

	// Queue is how many attempts may wait for a permit. Default: none.
	Queue int `json:"queue,omitzero"`

	// Wait is the longest time that an attempt stays in the queue. Default: as long as the call lasts.
	Wait Duration `json:"wait,omitzero" zero:"as long as the call lasts"`
}

// Rate is a limit.Rate.
type Rate struct {
	// Name is the limit's name in errors and snapshots. Default: the policy's name.
	Name string `json:"name,omitzero" zero:"the policy's name"`

	// N is the number of attempts admitted in each per. It has no default.
	N float64 `json:"n,omitzero"`

	// Per is the period of n. Default: 1s.
	Per Duration `json:"per,omitzero" zero:"1s"`

	// Burst is the number of attempts admitted at once after a pause. Default: 1, which spaces
	// attempts evenly.
	Burst int `json:"burst,omitzero" zero:"1"`

	// Wait is the longest time that an attempt waits for its turn. Default: none.
	Wait Duration `json:"wait,omitzero"`
}

// Adaptive is a limit.Adaptive.
type Adaptive struct {
	// Name is the limit's name in errors and snapshots. Default: the policy's name.
	Name string `json:"name,omitzero" zero:"the policy's name"`

	// Initial is the limit at the start. Default: 20, or the nearest value between min and max.
	Initial int `json:"initial,omitzero" zero:"20"`

	// Min is the lowest limit. Default: 1.
	Min int `json:"min,omitzero" zero:"1"`

	// Max is the highest limit. Default: 1000.
	Max int `json:"max,omitzero" zero:"1000"`

	// Queue is how many attempts may wait for a permit. Default: none.
	Queue int `json:"queue,omitzero"`

	// Wait is the longest time that an attempt stays in the queue. Default: as long as the call lasts.
	Wait Duration `json:"wait,omitzero" zero:"as long as the call lasts"`

	// Target is the mean latency to keep. Default: the service's normal latency.
	Target Duration `json:"target,omitzero" zero:"the service's normal latency"`

	// SlowStart doubles the limit in each window until it is too high. Default: false.
	SlowStart bool `json:"slow_start,omitzero"`
}

// Throttle is a limit.Throttle.
type Throttle struct {
	// Name is the limit's name in errors and snapshots. Default: the policy's name.
	Name string `json:"name,omitzero" zero:"the policy's name"`

	// K is the number of attempts for each accepted one above which attempts are rejected. Default: 2.
	K float64 `json:"k,omitzero" zero:"2"`

	// Window is the time over which attempts count. Default: 2m.
	Window Duration `json:"window,omitzero" zero:"2m"`

	// MinCalls is the number of attempts in window before any is rejected. Default: 10.
	MinCalls int `json:"min_calls,omitzero" zero:"10"`
}

// build returns the limit. place, such as Gates[0], is its place in the policy, for errors.
func (g Gate) build(place, policy string) (gate.Gate, error) {
	var kinds []string
	var made gate.Gate
	if c := g.Concurrency; c != nil {
		kinds = append(kinds, "concurrency")
		made = &limit.Concurrency{Name: cmp.Or(c.Name, policy), Max: c.Max, Queue: c.Queue,
			Wait: time.Duration(c.Wait)}
	}
	if r := g.Rate; r != nil {
		kinds = append(kinds, "rate")
		if r.N == 0 {
			return nil, fmt.Errorf("%s.Rate.N is 0: want the number of attempts in each per", place)
		}
		made = &limit.Rate{Name: cmp.Or(r.Name, policy), N: r.N, Per: time.Duration(r.Per),
			Burst: r.Burst, Wait: time.Duration(r.Wait)}
	}
	if a := g.Adaptive; a != nil {
		kinds = append(kinds, "adaptive")
		made = &limit.Adaptive{Name: cmp.Or(a.Name, policy), Initial: a.Initial, Min: a.Min,
			Max: a.Max, Queue: a.Queue, Wait: time.Duration(a.Wait),
			Target: time.Duration(a.Target), SlowStart: a.SlowStart}
	}
	if t := g.Throttle; t != nil {
		kinds = append(kinds, "throttle")
		made = &limit.Throttle{Name: cmp.Or(t.Name, policy), K: t.K,
			Window: time.Duration(t.Window), MinCalls: t.MinCalls}
	}
	switch len(kinds) {
	case 1:
		return made, nil
	case 0:
		return nil, fmt.Errorf("%s is empty: want one of concurrency, rate, adaptive, throttle",
			place)
	}
	return nil, fmt.Errorf("%s is %s: want one in each element of the list", place,
		strings.Join(kinds, " and "))
}

// gates returns the limits in their order, nil for none.
func (p Policy) gates(name string) (all []gate.Gate, err error) {
	for i, g := range p.Gates {
		made, err := g.build(fmt.Sprintf("Gates[%d]", i), name)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}
