package rejection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/rejection"
	"github.com/rebound-go/rebound/limit"
)

// shut is a gate that rejects with err.
type shut struct{ err error }

func (s shut) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, s.err }
func (s shut) Leave(gate.Pass, gate.Outcome)            {}

func TestBy(t *testing.T) {
	open := &breaker.Breaker{Name: "b"}
	open.ForceOpen()
	rate := &limit.Rate{Name: "r", N: 1}
	_, _ = rate.Enter(t.Context())
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		want   string
		phrase string
	}{
		{"breaker", &rebound.Policy{Breaker: open}, "breaker b", "the breaker"},
		{"breaker among the gates", &rebound.Policy{Gates: []gate.Gate{open}}, "breaker b",
			"the breaker"},
		{"breaker, wrapped", &rebound.Policy{Gates: []gate.Gate{
			shut{fmt.Errorf("host: %w", &breaker.OpenError{Name: "h"})}}}, "breaker h", "the breaker"},
		{"rate", &rebound.Policy{Gates: []gate.Gate{rate}}, "rate r", "the rate limit"},
		{"limit without a name", &rebound.Policy{Gates: []gate.Gate{shut{new(limit.Error)}}},
			"concurrency", "the concurrency limit"},
		{"custom", &rebound.Policy{Gates: []gate.Gate{shut{errors.New("no")}}}, "gate", "a gate"},
		{"nil pointer", &rebound.Policy{Gates: []gate.Gate{shut{(*limit.Error)(nil)}}}, "gate",
			"a gate"},
		{"no gate", &rebound.Policy{Attempts: 1}, "", ""},
	} {
		var got rejection.Gate
		row.policy.Observe = func(_ context.Context, e rebound.Event) { got, _ = rejection.By(e) }
		_ = rebound.Run(t.Context(), row.policy, func(context.Context) error {
			return errors.New("down")
		})
		if got.String() != row.want || rejection.Phrase(got.Kind) != row.phrase {
			t.Errorf("%s: %q, by %q; want %q, by %q", row.name, got, rejection.Phrase(got.Kind),
				row.want, row.phrase)
		}
	}
}
