package backoff

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	bad := Jitter{1, 0.5}
	tests := []valid{
		{Constant(0), ""},
		{Constant(-1), "Constant is -1ns: want 0 (no delay) or more"},
		{Exponential{}, ""},
		{Exponential{Base: time.Hour}, ""},
		{Exponential{Base: second, Max: second, Factor: 1, Jitter: None()}, ""},
		{Exponential{Base: -1}, "Exponential.Base is -1ns: want more than 0, or 0 for 100ms"},
		{Exponential{Max: -1}, "Exponential.Max is -1ns: want more than 0, or 0 for 30s"},
		{Exponential{Base: 2, Max: 1}, "Exponential.Base is 2ns, above its Max of 1ns"},
		{Exponential{Factor: 0.99}, "Exponential.Factor is 0.99: want a number of 1 or more"},
		{Exponential{Factor: -2}, "Exponential.Factor is -2"},
		{Exponential{Factor: nan}, "Exponential.Factor is NaN"},
		{Exponential{Factor: inf}, "Exponential.Factor is +Inf"},
		{Exponential{Jitter: bad},
			"Exponential.Jitter.High is 0.5: want a finite number, at least Low (1)"},
		{Linear{}, ""},
		{Linear{Base: -1}, "Linear.Base is -1ns"},
		{Linear{Step: -1}, "Linear.Step is -1ns: want more than 0, or 0 for Base"},
		{Linear{Base: 2, Max: 1}, "Linear.Base is 2ns, above its Max of 1ns"},
		{Linear{Jitter: bad}, "Linear.Jitter.High is 0.5"},
		{Fibonacci{}, ""},
		{Fibonacci{Max: -1}, "Fibonacci.Max is -1ns"},
		{Fibonacci{Jitter: bad}, "Fibonacci.Jitter.High is 0.5"},
		{Decorrelated{}, ""},
		{Decorrelated{Low: 1.3, High: 2}, ""},
		{Decorrelated{Base: -1}, "Decorrelated.Base is -1ns"},
		{Decorrelated{Low: 1.3}, "Decorrelated.High is 0: want a finite number, at least Low (1.3)"},
		{Decorrelated{Low: -1, High: 1}, "Decorrelated.Low is -1: want a number, 0 or more"},
		{Jitter{}, ""},
		{Full(), ""},
		{Additive(0), ""},
		{Additive(100), ""},
		{Proportional(0), ""},
		{Proportional(1), ""},
		{Additive(-0.1), "Jitter.High is 0.9: want a finite number, at least Low (1)"},
		{Additive(nan), "Jitter.High is NaN"},
		{Additive(inf), "Jitter.High is +Inf"},
		{Proportional(1.5), "Jitter.Low is -0.5"},
		{Proportional(-0.5), "Jitter.High is 0.5"},
		{Proportional(nan), "Jitter.Low is NaN"},
		{Jitter{inf, inf}, "Jitter.Low is +Inf"},
	}
	for _, test := range tests {
		test.check(t)
	}
}

func TestValidateBounds(t *testing.T) {
	bad := Jitter{1, 0.5}
	tests := []valid{
		{Exponential{Min: 30 * second}, ""},
		{Exponential{Base: time.Hour, Min: time.Hour}, ""},
		{Exponential{Base: second, Min: 2 * second, Max: 2 * second}, ""},
		{Exponential{Min: -1}, "Exponential.Min is -1ns: want more than 0, or 0 for none"},
		{Exponential{Min: 30*second + 1}, "Exponential.Min is 30.000000001s, above its Max of 30s"},
		{Linear{Base: 2, Min: 4, Max: 3}, "Linear.Min is 4ns, above its Max of 3ns: want at most Max"},
		{Fibonacci{Min: -1}, "Fibonacci.Min is -1ns"},
		{Decorrelated{Min: time.Minute}, "Decorrelated.Min is 1m0s, above its Max of 30s"},
		{Steps{Delays: []time.Duration{0, second}, Jitter: None()}, ""},
		{Steps{}, "Steps.Delays is empty: want at least one"},
		{Steps{Delays: []time.Duration{0, 1, -1}}, "Steps.Delays[2] is -1ns: want 0 (no delay) or more"},
		{Steps{Delays: []time.Duration{0}, Jitter: bad}, "Steps.Jitter.High is 0.5"},
	}
	for _, test := range tests {
		test.check(t)
	}
}

// valid is a value and what its Validate returns.
type valid struct {
	v    interface{ Validate() error }
	want string // a part of the error; "" = no error
}

func (test valid) check(t *testing.T) {
	t.Helper()
	switch err := test.v.Validate(); {
	case test.want == "" && err != nil:
		t.Errorf("%#v: got %q, want no error", test.v, err)
	case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
		t.Errorf("%#v: got %v, want an error with %q", test.v, err, test.want)
	}
}
