package breaker_test

import (
	"time"

	"github.com/rebound-go/rebound/breaker"
)

// modeTimelines are those of MaxCooldown, WindowCalls, probes judged by Rate, Shadow and Trip.
var modeTimelines = []timeline{
	{"each reopening doubles the cooldown up to MaxCooldown", func() *breaker.Breaker {
		return &breaker.Breaker{
			Failures: 1, Cooldown: 10 * time.Second, MaxCooldown: 35 * time.Second,
		}
	}, `
		0s       fail     open
		9.999s   refused  open
		10s      fail     open
		29.999s  refused  open
		30s      limited  half-open
		30s      fail     open
		64.999s  refused  open
		65s      fail     open
		99.999s  refused  open
		100s     ok       closed
		100s     fail     open
		109.999s refused  open
		110s     fail     open
		129.999s refused  open
		130s     ok       closed`},
	{"without MaxCooldown it stays the same", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s   fail  open
		10s  fail  open
		20s  fail  open
		30s  fail  open
		40s  ok    closed`},
	{"a probe's lease does not grow with the cooldown, nor the cooldown with leases",
		func() *breaker.Breaker {
			return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, MaxCooldown: time.Hour}
		}, `
		0s       fail     open
		10s      fail     open
		30s      enter a  half-open
		39.999s  refused  half-open
		40s      enter b  half-open
		41s      a fail   half-open
		41s      b fail   open
		80.999s  refused  open
		81s      ok       closed`},
	{"methods that do not close keep the growth", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, MaxCooldown: time.Hour}
	}, `
		0s   halfopen   half-open
		0s   fail       open
		10s  forceopen  open
		20s  halfopen   half-open
		20s  fail       open
		39s  refused    open
		40s  reset      closed
		40s  fail       open
		50s  forceclose closed
		50s  halfopen   half-open
		50s  fail       open
		60s  ok         closed`},
	{"a window of calls", func() *breaker.Breaker {
		return &breaker.Breaker{
			Rate: 0.5, WindowCalls: 4, Cooldown: 10 * time.Second, SlowRate: 1, SlowAfter: time.Hour,
		}
	}, `
		0s   fail     closed
		0s   fail     closed
		0s   ok       closed
		0s   limited  closed
		9h   fail     open
		10h  ok       closed
		10h  ok       closed
		10h  ok       closed
		10h  ok       closed
		10h  fail     closed
		11h  ok       closed
		12h  ok       closed
		13h  ok       closed
		14h  fail     closed
		15h  fail     open`},
	{"calls leave the window in order", func() *breaker.Breaker {
		return &breaker.Breaker{
			Rate: 0.75, WindowCalls: 4, MinCalls: 4, SlowRate: 0.75, SlowAfter: time.Second,
		}
	}, `
		0s  fail     closed
		0s  enter a  closed
		0s  enter b  closed
		0s  enter c  closed
		1s  a ok     closed
		1s  b ok     closed
		1s  ok       closed
		1s  fail     closed
		1s  c ok     closed
		1s  enter d  closed
		1s  enter e  closed
		2s  d ok     closed
		2s  e fail   open`},
	{"with Rate, as many probes as Probes decide by it", func() *breaker.Breaker {
		return &breaker.Breaker{
			Rate: 0.5, Failures: 2, MinCalls: 100, Probes: 4, Cooldown: 10 * time.Second,
		}
	}, `
		0s   fail      closed
		0s   fail      open
		10s  fail      half-open
		10s  ok        half-open
		10s  limited   half-open
		10s  skipped   half-open
		10s  notfound  half-open
		10s  ok        closed
		20s  fail      closed
		20s  fail      open
		30s  ok        half-open
		30s  fail      half-open
		30s  ok        half-open
		30s  panic     open
		40s  ok        half-open
		40s  ok        half-open
		40s  ok        half-open
		40s  ok        closed`},
	{"with Rate, probes at the same time", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 0.7, MinCalls: 1, Probes: 3, Cooldown: 10 * time.Second}
	}, `
		0s   fail     open
		10s  enter a  half-open
		10s  enter b  half-open
		10s  enter c  half-open
		10s  refused  half-open
		11s  a fail   half-open
		11s  enter d  half-open
		11s  refused  half-open
		12s  b fail   half-open
		12s  d ok     closed
		13s  c fail   closed`},
	{"with Rate, failed probes outlast those given up", func() *breaker.Breaker {
		return &breaker.Breaker{Rate: 1, MinCalls: 1, Probes: 2, Cooldown: 10 * time.Second}
	}, `
		0s   fail     open
		10s  fail     half-open
		10s  enter a  half-open
		10s  enter b  half-open
		20s  enter c  half-open
		21s  a ok     half-open
		22s  c fail   open
		32s  ok       half-open
		32s  fail     closed`},
	{"with Rate and SlowRate, a slow probe counts as failed", func() *breaker.Breaker {
		return &breaker.Breaker{
			Rate: 0.6, SlowRate: 1, SlowAfter: time.Second, MinCalls: 1, Probes: 2,
			Cooldown: 10 * time.Second,
		}
	}, `
		0s   fail     open
		10s  enter a  half-open
		10s  enter b  half-open
		11s  a ok     half-open
		12s  b ok     open
		22s  enter a  half-open
		23s  a ok     half-open
		23s  ok       closed`},
	{"a shadow lets every call through", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 2, Cooldown: 10 * time.Second, Shadow: true}
	}, `
		0s   fail            closed
		0s   fail            closed
		0s   shows open      closed
		5s   ok              closed
		5s   shows open      closed
		10s  shows half-open closed
		10s  enter a         closed
		10s  enter b         closed
		11s  b ok            closed
		11s  shows half-open closed
		11s  a fail          closed
		11s  shows open      closed
		21s  ok              closed
		21s  shows closed    closed
		21s  fail            closed
		21s  fail            closed
		21s  shows open      closed`},
	{"a shadow that is forced", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 2, Cooldown: 10 * time.Second, Shadow: true}
	}, `
		0s   forceopen       closed
		0s   ok              closed
		0s   shows open      closed
		1h   fail            closed
		1h   halfopen        closed
		1h   shows half-open closed
		1h   ok              closed
		1h   shows closed    closed`},
	{"tripped", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s       enter a   closed
		0s       trip 30s  open
		1s       a ok      open
		29.999s  refused   open
		30s      ok        closed
		31s      fail      open
		35s      trip 2s   open
		36.999s  refused   open
		37s      enter b   half-open
		38s      trip 1m   open
		39s      b ok      open
		97s      refused   open
		98s      fail      open
		107s     refused   open
		108s     ok        closed
		108s     trip -1s  half-open
		108s     fail      open
		108s     trip 0s   half-open
		109s     ok        closed`},
	{"tripping neither grows the cooldown nor stops its growth", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second, MaxCooldown: time.Hour}
	}, `
		0s   trip 5s  open
		5s   fail     open
		15s  trip 5s  open
		20s  fail     open
		39s  refused  open
		40s  ok       closed`},
	{"tripping ends what was forced", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Cooldown: 10 * time.Second}
	}, `
		0s   forceopen   open
		0s   trip 5s     open
		5s   ok          closed
		5s   forceclose  closed
		5s   trip 5s     open
		9s   refused     open
		10s  ok          closed`},
	{"a shadow that is tripped", func() *breaker.Breaker {
		return &breaker.Breaker{Failures: 1, Shadow: true}
	}, `
		0s  trip 5s          closed
		0s  shows open       closed
		4s  ok               closed
		4s  shows open       closed
		5s  shows half-open  closed
		5s  ok               closed
		5s  shows closed     closed`},
}
