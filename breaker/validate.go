package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/rebound-go/rebound/internal/circuit"
)

const (
	defaultFailures = 5
	defaultMinCalls = 10
	defaultWindow   = 10 * time.Second
	defaultCooldown = 60 * time.Second
	defaultProbes   = 1
)

// Validate returns an error that names the first invalid field and its valid values, or nil. A
// breaker with invalid fields still works: an invalid field counts as zero, too many Probes as
// 4095, and too many WindowCalls as 1000000.
func (b *Breaker) Validate() error {
	switch {
	case b.Failures < 0:
		return b.wrong("Failures", b.Failures, "0 (for 5) or more")
	case !share(b.Rate):
		return b.wrong("Rate", b.Rate, "above 0 and at most 1, or 0 for none")
	case b.MinCalls < 0:
		return b.wrong("MinCalls", b.MinCalls, "0 (for 10) or more")
	case b.Window != 0 && b.Window < circuit.Buckets:
		return b.wrong("Window", b.Window, "0 (for 10s), or at least 10ns")
	case b.WindowCalls < 0 || b.WindowCalls > circuit.MaxCalls:
		return b.wrong("WindowCalls", b.WindowCalls,
			fmt.Sprintf("0 (for none) to %d", circuit.MaxCalls))
	case b.WindowCalls > 0 && b.Window != 0:
		return b.wrong("WindowCalls", b.WindowCalls, "0, because Window is set")
	case b.WindowCalls > 0 && b.MinCalls > b.WindowCalls:
		return b.wrong("MinCalls", b.MinCalls, fmt.Sprintf("at most WindowCalls (%d)", b.WindowCalls))
	case b.SlowAfter < 0:
		return b.wrong("SlowAfter", b.SlowAfter, "0 (for none) or more")
	case !share(b.SlowRate):
		return b.wrong("SlowRate", b.SlowRate, "above 0 and at most 1, or 0 for none")
	case b.SlowRate > 0 && b.SlowAfter == 0:
		return b.wrong("SlowAfter", b.SlowAfter, "set, because SlowRate is")
	case b.SlowAfter > 0 && b.SlowRate == 0:
		return b.wrong("SlowRate", b.SlowRate, "set, because SlowAfter is")
	case b.Cooldown < 0:
		return b.wrong("Cooldown", b.Cooldown, "0 (for 1m0s) or more")
	case b.MaxCooldown != 0 && b.MaxCooldown < orDefault(b.Cooldown, defaultCooldown):
		return b.wrong("MaxCooldown", b.MaxCooldown, fmt.Sprintf(
			"0 (for no growth), or at least Cooldown (%v)", orDefault(b.Cooldown, defaultCooldown)))
	case !share(b.CooldownJitter):
		return b.wrong("CooldownJitter", b.CooldownJitter, "between 0 and 1")
	case b.Probes < 0 || b.Probes > circuit.MaxProbes:
		return b.wrong("Probes", b.Probes, fmt.Sprintf("0 (for 1) to %d", circuit.MaxProbes))
	}
	return nil
}

func (b *Breaker) wrong(field string, got any, want string) error {
	return fmt.Errorf("%s: %s is %v: it must be %s", titled(b.Name), field, got, want)
}

// share reports whether x is a share. NaN is none, as every comparison with it is false.
func share(x float64) bool { return x >= 0 && x <= 1 }

// config is the configuration of the state machine. It is made at the first use, so the fields must
// not change after that. It is not inlined, so that owner is: the result of owner then stays on the
// stack.
//
//go:noinline
func (b *Breaker) config() *circuit.Config {
	if c := b.resolved.Load(); c != nil {
		return c
	}
	b.resolved.CompareAndSwap(nil, b.resolve())
	return b.resolved.Load()
}

func init() {
	circuit.ConfigOf = func(b any) *circuit.Config { return b.(*Breaker).resolve() }
}

// resolve replaces zeros and invalid values by defaults.
func (b *Breaker) resolve() *circuit.Config {
	c := &circuit.Config{
		Failures:    int32(min(max(b.Failures, 0), math.MaxInt32)),
		MinCalls:    int32(min(orDefault(b.MinCalls, defaultMinCalls), math.MaxInt32)),
		Width:       defaultWindow / circuit.Buckets,
		Cooldown:    orDefault(b.Cooldown, defaultCooldown),
		MaxCooldown: b.MaxCooldown,
		Probes:      int16(min(orDefault(b.Probes, defaultProbes), circuit.MaxProbes)),
		Counts:      b.Counts,
		Shadow:      b.Shadow,
	}
	switch {
	case b.Window >= circuit.Buckets:
		c.Width = b.Window / circuit.Buckets
	case b.WindowCalls > 0:
		c.Calls = int32(min(b.WindowCalls, circuit.MaxCalls))
		c.MinCalls = min(c.MinCalls, c.Calls)
	}
	if share(b.Rate) {
		c.Rate = b.Rate
	}
	if share(b.SlowRate) && b.SlowAfter > 0 {
		c.SlowRate, c.SlowAfter = b.SlowRate, b.SlowAfter
	}
	if share(b.CooldownJitter) {
		c.CooldownJitter = b.CooldownJitter
	}
	if b.Failures <= 0 && !c.Windowed() {
		c.Failures = defaultFailures
	}
	return c
}

func orDefault[N int | time.Duration](v, unset N) N {
	if v <= 0 {
		return unset
	}
	return v
}
