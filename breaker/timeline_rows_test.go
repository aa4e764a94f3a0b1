package breaker_test

import (
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
)

// A timeline is a breaker's life in rows of (time, what happens, state afterwards). What happens:
//   - an outcome is a whole call
//   - "enter a" begins call a, and "a ok" ends it
//   - "refused" is a call that must be rejected
//   - "shows open" compares the state in the snapshot
//   - the rest are the breaker's methods
type timeline struct {
	name string
	cfg  func() *breaker.Breaker
	rows string
}

var timelines = []timeline{
	{"zero breaker", func() *breaker.Breaker { return &breaker.Breaker{} }, `
		0s       fail     closed
		1s       fail     closed
		2s       fail     closed
		3s       fail     closed
		4s       fail     open
		4s       refused  open
		63.999s  refused  open
		64s      state    half-open
		64s      enter a  half-open
		64s      refused  half-open
		65s      a ok     closed`},
	{"what counts", func() *breaker.Breaker { return &breaker.Breaker{Failures: 2} }, `
		0s  transient   closed
		0s  overloaded  open
		0s  reset       closed
		0s  unknown     closed
		0s  limited     closed
		0s  canceled    closed
		0s  skipped     closed
		0s  nohost      closed
		0s  panic       open
		0s  reset       closed
		0s  fail        closed
		0s  notfound    closed
		0s  fail        closed
		0s  answer      closed
		0s  fail        closed
		0s  fail        open`},
	{"a failed probe opens for a whole cooldown", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s    fail     open
		10s   enter a  half-open
		13s   a fail   open
		22s   refused  open
		23s   ok       closed`},
	{"an answered probe closes, a local error decides nothing", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s   fail      open
		10s  nohost    half-open
		10s  limited   half-open
		10s  canceled  half-open
		10s  skipped   half-open
		10s  notfound  closed`},
	{"a panicking probe opens", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s   fail   open
		10s  panic  open
		19s  refused open`},
	{"three probes at a time, three successes", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, Probes: 3}
	}, `
		0s   fail     open
		10s  enter a  half-open
		10s  enter b  half-open
		10s  enter c  half-open
		10s  refused  half-open
		11s  a ok     half-open
		11s  enter d  half-open
		11s  refused  half-open
		12s  b canceled  half-open
		12s  c ok     half-open
		13s  d ok     closed`},
	{"one failed probe of three opens, the others are stale", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, Probes: 3}
	}, `
		0s   fail     open
		10s  enter a  half-open
		10s  enter b  half-open
		10s  enter c  half-open
		11s  a ok     half-open
		11s  b fail   open
		11s  c ok     open
		21s  enter d  half-open
		21s  d ok     half-open
		21s  ok       half-open
		21s  ok       closed`},
	{"results from before the opening are ignored", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 2, Cooldown: 10 * time.Second}
	}, `
		0s   enter a  closed
		0s   enter b  closed
		0s   enter c  closed
		0s   enter d  closed
		1s   fail     closed
		1s   fail     open
		2s   a ok     open
		11s  b ok     half-open
		11s  enter p  half-open
		11s  c ok     half-open
		11s  refused  half-open
		12s  p ok     closed
		12s  fail     closed
		12s  d fail   closed
		12s  fail     open`},
	{"a probe that never returns expires, and each time later", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s      fail     open
		10s     enter a  half-open
		19.999s refused  half-open
		20s     enter b  half-open
		20s     refused  half-open
		21s     a ok     half-open
		21s     refused  half-open
		39.999s refused  half-open
		40s     enter c  half-open
		41s     a fail   half-open
		41s     b fail   half-open
		75s     c ok     closed`},
	{"successes outlive an expired probe", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, Probes: 2}
	}, `
		0s   fail     open
		10s  enter a  half-open
		10s  ok       half-open
		10s  enter b  half-open
		15s  refused  half-open
		20s  enter c  half-open
		20s  a ok     half-open
		20s  c ok     closed`},
	{"failure rate", func() *breaker.Breaker { return &breaker.Breaker{Rate: 0.5, MinCalls: 4} }, `
		0s  fail  closed
		0s  fail  closed
		0s  fail  closed
		0s  ok    open`},
	{"below the rate", func() *breaker.Breaker { return &breaker.Breaker{Rate: 0.5, MinCalls: 4} }, `
		0s  fail      closed
		0s  ok        closed
		0s  ok        closed
		0s  limited   closed
		0s  canceled  closed
		0s  ok        closed
		0s  fail      closed
		0s  fail      open`},
	{"failures in a row do not open beside a rate", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.9, MinCalls: 4}
	}, `
		0s  ok    closed
		0s  fail  closed
		0s  fail  closed
		0s  fail  closed
		0s  fail  closed
		0s  fail  closed`},
	{"unless asked for", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.9, Failures: 3}
	}, `
		0s  ok    closed
		0s  fail  closed
		0s  fail  closed
		0s  ok    closed
		0s  fail  closed
		0s  fail  closed
		0s  fail  open`},
	{"the window moves in tenths", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.5, MinCalls: 4, Window: 10 * time.Second}
	}, `
		0s      fail  closed
		0.9s    fail  closed
		9.5s    ok    closed
		10s     fail  closed
		10.1s   ok    closed
		10.2s   ok    closed
		10.3s   ok    closed
		18.9s   fail  closed
		19.5s   fail  open`},
	{"a call counts for nine tenths of the window at least", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.6, MinCalls: 2, Window: 10 * time.Second}
	}, `
		0s      ok    closed
		0.999s  fail  closed
		9.999s  fail  open`},
	{"and never for longer than the window", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.6, MinCalls: 2, Window: 10 * time.Second}
	}, `
		0s    ok    closed
		0s    fail  closed
		10s   fail  closed
		10s   ok    closed`},
	{"successes that age leave failures that open", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.5, MinCalls: 2, Window: 10 * time.Second}
	}, `
		0s   ok    closed
		0s   ok    closed
		0s   ok    closed
		0s   ok    closed
		5s   fail  closed
		5s   fail  closed
		10s  ok    open`},
	{"closing clears the window", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.5, MinCalls: 2, Cooldown: time.Second}
	}, `
		0s  fail  closed
		0s  fail  open
		1s  ok    closed
		1s  fail  closed
		1s  ok    open`},
	{"slow calls", func() *breaker.Breaker {
		return &breaker.Breaker{
			SlowAfter: time.Second, SlowRate: 0.5, MinCalls: 2, Cooldown: 10 * time.Second,
		}
	}, `
		0s      enter a  closed
		0.999s  a ok     closed
		1s      enter b  closed
		2s      b ok     open
		12s     enter c  half-open
		13s     c ok     open
		23s     enter d  half-open
		23.5s   d ok     closed
		24s     enter e  closed
		24s     enter f  closed
		25s     e fail   closed
		25s     f fail   open`},
	{"an ignored call is not slow", func() *breaker.Breaker {
		return &breaker.Breaker{SlowAfter: time.Second, SlowRate: 0.5, MinCalls: 1}
	}, `
		0s  enter a     closed
		5s  a canceled  closed
		5s  enter b     closed
		9s  b limited   closed`},
	{"forced open", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: time.Second}
	}, `
		0s     enter a    closed
		0s     forceopen  open
		1h     refused    open
		1h     a ok       open
		1h     halfopen   half-open
		1h     ok         closed
		2h     forceopen  open
		2h     reset      closed
		2h     forceopen  open
		2h     forceclose closed
		2h     ok         closed`},
	{"forced closed", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: time.Second, Rate: 0.1, MinCalls: 1}
	}, `
		0s  fail        open
		0s  forceclose  closed
		0s  fail        closed
		0s  fail        closed
		0s  reset       closed
		0s  fail        open
		0s  forceclose  closed
		0s  fail        closed
		0s  forceopen   open
		0s  forceclose  closed
		0s  enter a     closed
		0s  halfopen    half-open
		0s  a fail      half-open
		0s  fail        open`},
	{"reset begins anew", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 2}
	}, `
		0s  enter a  closed
		0s  fail     closed
		0s  reset    closed
		0s  fail     closed
		0s  a fail   closed
		0s  fail     open
		0s  reset    closed
		0s  ok       closed`},
	{"own idea of a failure", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 2, Counts: func(f fault.Fault) bool {
			return f.Kind == fault.RateLimited
		}}
	}, `
		0s  fail      closed
		0s  fail      closed
		0s  limited   closed
		0s  canceled  closed
		0s  nohost    closed
		0s  limited   open
		0s  reset     closed
		0s  limited   closed
		0s  fail      closed
		0s  limited   closed
		0s  panic     open`},
}
