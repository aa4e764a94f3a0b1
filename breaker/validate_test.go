package breaker_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/circuit"
)

func TestValidate(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		b     *breaker.Breaker
		field string // "" = valid
	}{
		{&breaker.Breaker{}, ""},
		{&breaker.Breaker{Failures: -1}, "Failures"},
		{&breaker.Breaker{Failures: math.MaxInt, Rate: 1, Probes: 4095}, ""},
		{&breaker.Breaker{SlowRate: 1, SlowAfter: time.Hour, CooldownJitter: 1}, ""},
		{&breaker.Breaker{Rate: -0.1}, "Rate"},
		{&breaker.Breaker{Rate: 1.1}, "Rate"},
		{&breaker.Breaker{Rate: nan}, "Rate"},
		{&breaker.Breaker{MinCalls: -1}, "MinCalls"},
		{&breaker.Breaker{Window: -time.Second}, "Window"},
		{&breaker.Breaker{Window: 9}, "Window"},
		{&breaker.Breaker{SlowAfter: -1}, "SlowAfter"},
		{&breaker.Breaker{SlowRate: 2, SlowAfter: time.Hour}, "SlowRate"},
		{&breaker.Breaker{SlowRate: 0.5}, "SlowAfter"},
		{&breaker.Breaker{SlowAfter: 1}, "SlowRate"},
		{&breaker.Breaker{Cooldown: -1}, "Cooldown"},
		{&breaker.Breaker{CooldownJitter: 1.5}, "CooldownJitter"},
		{&breaker.Breaker{WindowCalls: 1_000_000, Rate: 0.5}, ""},
		{&breaker.Breaker{WindowCalls: -1}, "WindowCalls"},
		{&breaker.Breaker{WindowCalls: 1_000_001}, "WindowCalls"},
		{&breaker.Breaker{WindowCalls: 100, Window: time.Second}, "WindowCalls"},
		{&breaker.Breaker{WindowCalls: 100, MinCalls: 100, Rate: 1}, ""},
		{&breaker.Breaker{WindowCalls: 99, MinCalls: 100}, "MinCalls"},
		{&breaker.Breaker{MaxCooldown: time.Minute}, ""},
		{&breaker.Breaker{MaxCooldown: time.Minute - 1}, "MaxCooldown"},
		{&breaker.Breaker{Cooldown: time.Hour, MaxCooldown: time.Minute}, "MaxCooldown"},
		{&breaker.Breaker{MaxCooldown: -1}, "MaxCooldown"},
		{&breaker.Breaker{Probes: -1}, "Probes"},
		{&breaker.Breaker{Probes: 4096}, "Probes"},
	} {
		err := tc.b.Validate()
		if got := err == nil; got != (tc.field == "") {
			t.Errorf("%+v: got error %v, want one that names %q", tc.b, err, tc.field)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "breaker: "+tc.field+" is ") {
			t.Errorf("got error %q, want it to begin with the field %s", err, tc.field)
		}
		// Invalid or not, it works.
		fail(tc.b, 3)
		tc.b.ForceHalfOpen()
		succeed(tc.b, 4095)
		tc.b.Trip(-time.Second)
		succeed(tc.b, 4095)
		if got := tc.b.State(); got != breaker.Closed {
			t.Errorf("%+v: state %v after probes that succeeded, want closed", tc.b, got)
		}
	}
	b := &breaker.Breaker{Name: "ocr", Rate: 50}
	want := "breaker ocr: Rate is 50: it must be above 0 and at most 1, or 0 for none"
	if err := b.Validate(); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// TestRateIsDecimal opens at exactly the given rate: 7 calls of 100 are 0.07, although 0.07·100 is
// more than 7 in floating point.
func TestRateIsDecimal(t *testing.T) {
	for percent := 1; percent <= 100; percent++ {
		cfg := circuit.ConfigOf(&breaker.Breaker{Rate: float64(percent) / 100, MinCalls: 100})
		var s circuit.Machine
		for i := range 100 {
			p, ok := s.Enter(cfg, 0)
			if !ok {
				t.Fatalf("rate %v: open after %d calls, want 100", cfg.Rate, i)
			}
			o := success
			if i < percent {
				o = failure
			}
			s.Leave(cfg, 0, p, o, 0)
		}
		if got := breaker.State(s.State(0)); got != breaker.Open {
			t.Errorf("rate %v: %v after %d failures of 100, want open", cfg.Rate, got, percent)
		}
	}
}
