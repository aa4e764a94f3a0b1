package llm_test

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/llm"
)

// stated are headers, and their limits per minute; 0 = unknown.
var stated = []struct {
	name             string
	requests, tokens float64
	header           []string
}{
	{"OpenAI's page", 60, 150000, []string{"x-ratelimit-limit-requests", "60",
		"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-requests", "59",
		"x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-requests", "1s",
		"x-ratelimit-reset-tokens", "6m0s"}},
	{"OpenAI by the day", 0, 200000, []string{"x-ratelimit-limit-requests", "10000",
		"x-ratelimit-remaining-requests", "9999", "x-ratelimit-reset-requests", "8.64s",
		"x-ratelimit-limit-tokens", "200000", "x-ratelimit-remaining-tokens", "199900",
		"x-ratelimit-reset-tokens", "30ms"}},
	{"Groq's page", 0, 18000, []string{"x-ratelimit-limit-requests", "14400",
		"x-ratelimit-limit-tokens", "18000", "x-ratelimit-remaining-requests", "14370",
		"x-ratelimit-remaining-tokens", "17997", "x-ratelimit-reset-requests", "2m59.56s",
		"x-ratelimit-reset-tokens", "7.66s"}},
	{"Groq's first", 0, 18000, []string{"x-ratelimit-limit-requests", "14400",
		"x-ratelimit-limit-tokens", "18000", "x-ratelimit-remaining-requests", "14399",
		"x-ratelimit-remaining-tokens", "17997", "x-ratelimit-reset-requests", "6s",
		"x-ratelimit-reset-tokens", "10ms"}},
	{"Anthropic, whole seconds", 1000, 80000, []string{
		"anthropic-ratelimit-requests-limit", "1000",
		"anthropic-ratelimit-requests-remaining", "999",
		"anthropic-ratelimit-requests-reset", "2000-01-01T00:00:01Z",
		"anthropic-ratelimit-input-tokens-limit", "40000",
		"anthropic-ratelimit-input-tokens-remaining", "40000",
		"anthropic-ratelimit-tokens-limit", "80000",
		"anthropic-ratelimit-tokens-remaining", "79000",
		"anthropic-ratelimit-tokens-reset", "2000-01-01T00:00:01Z"}},
	{"Fireworks", 600, 60000, []string{"x-ratelimit-limit-requests", "600",
		"x-ratelimit-remaining-requests", "599", "x-ratelimit-limit-tokens-prompt", "60000",
		"x-ratelimit-remaining-tokens-prompt", "60000",
		"x-ratelimit-limit-tokens-generated", "6000",
		"x-ratelimit-remaining-tokens-generated", "5000"}},
	{"Mistral", 0, 500000, []string{"x-ratelimit-limit-tokens-minute", "500000",
		"x-ratelimit-remaining-tokens-minute", "499000",
		"x-ratelimit-limit-tokens-month", "1000000000",
		"x-ratelimit-remaining-tokens-month", "999990000", "x-ratelimit-limit-req-second", "5"}},
	{"Azure", 0, 0, []string{"x-ratelimit-remaining-requests", "99",
		"x-ratelimit-remaining-tokens", "99500"}},
	{"two of IETF", 30, 0, []string{"RateLimit", `"a";r=9;t=7,"b";r=5;t=1`,
		"RateLimit-Policy", `"a";q=900;w=60,"b";q=30;w=60,"c";q=5;w=1`}},
	{"no numbers", 0, 0, []string{"x-ratelimit-limit-requests", "unlimited",
		"x-ratelimit-limit-tokens", "NaN", "x-ratelimit-remaining-tokens", "-1"}},
	{"no limits", 0, 0, []string{"x-ratelimit-limit-requests", "0",
		"x-ratelimit-limit-tokens", "0"}},
}

func TestQuotaReadsLimits(t *testing.T) {
	for _, row := range stated {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &llm.Quota{}
				newPaced(q, used(1, row.header...)).times(t, 3, chatPath, `{"model":"m"}`)
				s := slices.Collect(q.Snapshots())
				requests, tokens := math.Round(s[0].Limit*60), math.Round(s[1].Limit*60)
				if requests != row.requests || tokens != row.tokens {
					t.Errorf("%v requests and %v tokens a minute, want %v and %v", requests, tokens,
						row.requests, row.tokens)
				}
			})
		})
	}
}

// The times at which several calls have their answers, with the tokens that each used.
func TestQuotaPacesByHeaders(t *testing.T) {
	for _, row := range []struct {
		name   string
		used   int
		header []string
		want   []time.Duration
	}{
		{"a day's limit", 1, []string{"x-ratelimit-limit-requests", "60",
			"x-ratelimit-remaining-requests", "59", "x-ratelimit-reset-requests", "24m0s"},
			seconds(0, 0, 0)},
		{"a day's limit by name", 1, []string{"x-ratelimit-limit-requests-day", "1",
			"x-ratelimit-remaining-requests-day", "1"}, seconds(0, 0, 0)},
		{"tokens whose reset is late", 1000, []string{"x-ratelimit-limit-tokens", "6000",
			"x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6m0s"},
			seconds(0, 10, 20)},
		{"the lesser of two", 1000, []string{"x-ratelimit-limit-tokens-minute", "6000",
			"x-ratelimit-remaining-tokens-minute", "0", "x-ratelimit-limit-tokens-month", "900000",
			"x-ratelimit-remaining-tokens-month", "800000"}, seconds(0, 10, 20)},
		// Used tokens still count after the next answer, which states the same limits.
		{"two parts", 30000, []string{"x-ratelimit-limit-tokens-prompt", "60000",
			"x-ratelimit-remaining-tokens-prompt", "60000",
			"x-ratelimit-limit-tokens-generated", "6000",
			"x-ratelimit-remaining-tokens-generated", "6000"}, seconds(0, 0, 0, 1)},
		{"a part that is spent", 1000, []string{"x-ratelimit-limit-tokens-prompt", "60000",
			"x-ratelimit-limit-tokens-generated", "6000",
			"x-ratelimit-remaining-tokens-generated", "0"}, seconds(0, 1, 2)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(&llm.Quota{}, used(row.used, row.header...))
				got := p.times(t, len(row.want), chatPath, thousand)
				for i := range got {
					got[i] = got[i].Round(10 * time.Millisecond)
				}
				if !slices.Equal(got, row.want) {
					t.Errorf("got %v, want %v", got, row.want)
				}
			})
		})
	}
}
