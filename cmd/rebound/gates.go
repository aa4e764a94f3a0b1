package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/limit"
)

// gates describes the limits of a policy, in the order in which an attempt enters them.
func gates(p *rebound.Policy) []string {
	var all []string
	for _, g := range p.Gates {
		var parts []string
		add := func(format string, v any) { parts = append(parts, fmt.Sprintf(format, v)) }
		queued := func(queue int, wait time.Duration) {
			if queue > 0 {
				add("queue %d", queue)
			}
			if wait > 0 {
				add("wait %s", short(wait))
			}
		}
		switch g := g.(type) {
		case *limit.Concurrency:
			add("concurrency %v", g.Snapshot().Limit)
			queued(g.Queue, g.Wait)
		case *limit.Adaptive:
			add("adaptive from %v", g.Snapshot().Limit)
			queued(g.Queue, g.Wait)
			if g.Target > 0 {
				add("target %s", short(g.Target))
			}
		case *limit.Rate:
			add("rate %v", g.N)
			if g.Per > 0 {
				parts[0] += " per " + short(g.Per)
			} else {
				parts[0] += " per second"
			}
			if g.Burst > 1 {
				add("burst %d", g.Burst)
			}
			queued(0, g.Wait)
		case *limit.Throttle:
			add("%s", "throttle")
		}
		all = append(all, strings.Join(parts, ", "))
	}
	return all
}
