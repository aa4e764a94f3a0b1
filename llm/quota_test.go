package llm_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

func message(text string) string { return fmt.Sprintf(`{"error": {"message": %q}}`, text) }

// router is the body of OpenRouter's error about a limit, with the headers that it passes on.
func router(limit, headers string) string {
	return fmt.Sprintf(`{"error": {"message": "Rate limit exceeded: %s. Add 10 credits to unlock more",
		"code": 429, "metadata": {"headers": {%s}}}}`, limit, headers)
}

// quotas are texts of many providers for limits that do not end within minutes.
var quotas = []struct{ name, body string }{
	{"OpenRouter", router("free-models-per-day", `"X-RateLimit-Remaining": "0"`)},
	{"Bedrock", `{"message": "Too many tokens per day, please wait before trying again."}`},
	{"Groq", message("Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, " +
		"Used 99000, Requested 2000. Please try again in 14m24s.")},
	{"GitHub", message("Rate limit of 50 per 86400s exceeded for UserByModelByDay. " +
		"Please wait 42000 seconds before retrying.")},
	{"Moonshot", message("Your account reached max organization TPD rate limit, limit: 1500000")},
	{"Cohere", `{"message": "You are using a Trial key, which is limited to 1000 calls / month."}`},
	{"Cerebras", `{"message": "Tokens per day limit exceeded - too many tokens processed."}`},
	{"weekly", message("Weekly limit reached")},
	{"monthly", message("You have reached your monthly quota")},
	{"Zhipu", `{"error": {"code": "1113", "message": "Insufficient balance. Please recharge."}}`},
	{"Zhipu, in Chinese", `{"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试。"}}`},
	{"Zhipu, by its text", message("余额不足")},
	{"a number", `{"error": {"code": 1113}}`},
	{"xAI", `{"code": "Some resource has been exhausted", "error": "Your team has either used all ` +
		`available credits or reached its monthly spending limit."}`},
	{"OpenAI, no code", message("You exceeded your current quota, please check your plan and " +
		"billing details.")},
	{"DeepSeek", message("Insufficient Balance")},
	{"Hugging Face", `{"error": "You have exceeded your monthly included credits for Inference"}`},
	{"Alibaba", `{"code": "Arrearage", "message": "Access denied."}`},
	{"budget", message("Budget has been exceeded! Current cost: 11, Max budget: 10")},
	{"behind a router", `{"error": {"code": 429, "message": "Provider returned error", "metadata":
		{"raw": "You have run out of credits."}}}`},
	{"nested behind a router", `{"error": {"code": 429, "message": "Provider returned error",
		"metadata": {"raw": "{\"error\": {\"message\": \"daily limit reached\"}}"}}}`},
}

// passing are texts for limits that pass, some very similar to those above.
var passing = []struct {
	name, body string
	after      time.Duration
}{
	{"OpenRouter", router("free-models-per-min", `"Retry-After": "9"`), 9 * time.Second},
	{"OpenRouter, advertising", message("Rate limit exceeded: free-models-per-min. Add 10 credits " +
		"to unlock 1000 requests per day"), 0},
	{"Bedrock", `{"message": "Too many tokens, please wait before trying again."}`, 0},
	{"Groq", message("Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, " +
		"Used 5000, Requested 2000. Please try again in 7.66s. Need more tokens? Upgrade today at " +
		"https://example.com/settings/billing"), 7660 * time.Millisecond},
	{"OpenAI by the day, soon", message("Rate limit reached on requests per day (RPD): " +
		"Limit 10000, Used 10000, Requested 1. Please try again in 8.64s."), 8640 * time.Millisecond},
	{"OpenAI, free", message("Rate limit reached on requests per min (RPM): Limit 3, Used 3, " +
		"Requested 1. Please try again in 20s. You can increase your rate limit by adding a " +
		"payment method to your account at https://example.com/account/billing."), 20 * time.Second},
	{"Gemini", message("You exceeded your current quota, please check your plan and billing " +
		"details. Please retry in 53.2s."), 53200 * time.Millisecond},
	{"GitHub", message("Rate limit of 10 per 60s exceeded for UserByModelByMinute. " +
		"Please wait 7 seconds before retrying."), 7 * time.Second},
	{"Moonshot", message("Your account reached max organization RPM rate limit, please try again " +
		"after 1 seconds"), time.Second},
	{"Zhipu", `{"error": {"code": "1302", "message": "Too many requests at once"}}`, 0},
	{"Azure", message("Requests have exceeded token rate limit. Please retry after 1 minute."),
		time.Minute},
	{"quota by the minute", message("You exceeded your current quota of requests per minute"), 0},
	{"nothing", `{}`, 0},
}

func TestQuotas(t *testing.T) {
	for _, q := range quotas {
		err := response(429, q.body)
		if f := llm.Classify(err); f.Kind != permanent || !llm.IsAccount(err) {
			t.Errorf("%s: got %v, account %v, want permanent, true", q.name, f.Kind,
				llm.IsAccount(err))
		}
	}
	for _, p := range passing {
		err := response(429, p.body, "Content-Type", "application/json")
		if f := llm.Classify(err); f.Kind != limited || f.After != p.after || llm.IsAccount(err) {
			t.Errorf("%s: got %v after %v, account %v, want rate limited after %v", p.name, f.Kind,
				f.After, llm.IsAccount(err), p.after)
		}
	}
}

// openaiErr is like openai.Error, bedrockErr like an error of AWS.
type openaiErr struct {
	StatusCode    int
	Code, Message string
}

func (e *openaiErr) Error() string { return "POST: " + e.Message }

type bedrockErr struct{ code, message string }

func (e *bedrockErr) Error() string        { return e.code }
func (e *bedrockErr) ErrorCode() string    { return e.code }
func (e *bedrockErr) ErrorMessage() string { return e.message }
func (e *bedrockErr) HTTPStatusCode() int  { return 429 }

// TestQuotasOfSDKs: the same texts mean the same in an SDK's error, also for fault.Of.
func TestQuotasOfSDKs(t *testing.T) {
	for _, tc := range []struct {
		err  error
		kind fault.Kind
	}{
		{&openaiErr{429, "rate_limit_exceeded", "Limit of requests per day (RPD) reached"}, permanent},
		{&openaiErr{429, "", "You are out of credits"}, permanent},
		{&openaiErr{429, "rate_limit_exceeded", "Limit of requests per min (RPM) reached"}, limited},
		{&bedrockErr{"ThrottlingException", "Too many tokens per day"}, permanent},
		{&bedrockErr{"ThrottlingException", "Too many tokens"}, limited},
	} {
		for name, of := range map[string]func(error) fault.Fault{"fault": fault.Of, "llm": llm.Classify} {
			if f := of(tc.err); f.Kind != tc.kind {
				t.Errorf("%s of %v: got %v, want %v", name, tc.err, f.Kind, tc.kind)
			}
		}
		if got := llm.IsAccount(tc.err); got != (tc.kind == permanent) {
			t.Errorf("%v: account %v, want %v", tc.err, got, !got)
		}
	}
}

func TestIsAccount(t *testing.T) {
	google := `{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid.",
		"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}`
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"no key", response(401, ""), true},
		{"wrong key", response(401, openai("invalid_request_error", "invalid_api_key", "")), true},
		{"Anthropic", response(401, `{"error": {"type": "authentication_error"}}`), true},
		{"Google", response(400, google), true},
		{"money", response(402, ""), true},
		{"Anthropic's money", response(400, message("Your credit balance is too low to access the API.")),
			true},
		{"Anthropic's limit", response(400, message("You have reached your specified API usage limits.")),
			true},
		{"quota", response(429, openai("insufficient_quota", "insufficient_quota", "")), true},
		{"forbidden", response(403, ""), true},
		{"xAI", response(403, `{"error": "Your team doesn't have any credits yet."}`), true},
		{"wrapped", fmt.Errorf("row 7: %w", response(401, "")), true},
		{"given up", &rebound.Error{Reason: rebound.NotRetryable, Err: response(401, ""),
			Fault: fault.Fault{Kind: permanent, Detail: "status 401"}}, true},
		{"a stream", &llm.StreamError{Event: llm.Event{Data: []byte(openai("", "insufficient_quota",
			""))}}, true},
		{"another status error", &openaiErr{StatusCode: 403}, true},

		{"moderated", response(403, `{"error": {"code": 403, "message": "Your input was flagged",
			"metadata": {"reasons": ["violence"]}}}`), false},
		{"guidelines", response(403, `{"error": "Content violates usage guidelines."}`), false},
		{"limit", response(429, openai("", "rate_limit_exceeded", "")), false},
		{"too large", response(429, openai("tokens", "rate_limit_exceeded",
			"Limit 30000, Requested 36055.")), false},
		{"context", response(400, openai("", "context_length_exceeded", "")), false},
		{"content", response(400, openai("", "content_filter", "")), false},
		{"model", response(404, openai("", "model_not_found", "")), false},
		{"request", response(400, openai("invalid_request_error", "", "no such parameter")), false},
		{"server", response(500, ""), false},
		{"anything", errors.New("x"), false},
		{"nothing", nil, false},
		{"typed nil", (*llm.StreamError)(nil), false},
	} {
		if got := llm.IsAccount(tc.err); got != tc.want {
			t.Errorf("%s: IsAccount(%v) = %v (%+v), want %v", tc.name, tc.err, got,
				llm.Classify(tc.err), tc.want)
		}
	}
}

// A limit with nothing remaining is a rate limit, whatever the status, as GitHub's.
func TestForbiddenLimit(t *testing.T) {
	err := response(http.StatusForbidden, message("API rate limit exceeded"),
		"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "30")
	if f := llm.Classify(err); f.Kind != limited || f.After != 30*time.Second || llm.IsAccount(err) {
		t.Errorf("got %v after %v, account %v, want rate limited after 30s", f.Kind, f.After,
			llm.IsAccount(err))
	}
}
