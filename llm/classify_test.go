package llm_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

const (
	transient  = fault.Transient
	limited    = fault.RateLimited
	overloaded = fault.Overloaded
	permanent  = fault.Permanent

	maybe   = fault.MaybeDone
	notDone = fault.NotDone
)

// response is a response with a bad status, as a policy's Classify gets it.
func response(status int, body string, header ...string) *reboundhttp.StatusError {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	req, _ := http.NewRequest("POST", "https://example.com/v1/messages", http.NoBody)
	return &reboundhttp.StatusError{
		Response: &http.Response{StatusCode: status, Header: h, Request: req},
		Body:     []byte(body),
	}
}

type bodyRow struct {
	name   string
	err    error
	kind   fault.Kind
	sent   fault.Sent
	after  time.Duration
	detail string
}

func checkBodies(t *testing.T, rows []bodyRow) {
	t.Helper()
	for _, row := range rows {
		f := llm.Classify(row.err)
		if f.Kind != row.kind || f.Sent != row.sent || f.After != row.after ||
			f.Detail != row.detail || f.Err != row.err {
			t.Errorf("%s: got %v, %v, after %v, %q, want %v, %v, after %v, %q", row.name,
				f.Kind, f.Sent, f.After, f.Detail, row.kind, row.sent, row.after, row.detail)
		}
	}
}

// openai is a body as OpenAI and most others have it.
func openai(kind, code, message string) string {
	return fmt.Sprintf(`{"error": {"message": %q, "type": %q, "param": null, "code": %q}}`,
		message, kind, code)
}

func TestClassifyOpenAI(t *testing.T) {
	const large = "Request too large for gpt-4o in organization org-x on tokens per min (TPM): " +
		"Limit 30000, Requested 36055. The input or output tokens must be reduced."
	const busy = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, " +
		"Requested 2000. Please try again in 1m2.5s. Visit https://example.com to learn more."
	checkBodies(t, []bodyRow{
		{"quota", response(429, openai("insufficient_quota", "insufficient_quota", "")),
			permanent, notDone, 0, "code insufficient_quota"},
		{"quota by type", response(429, openai("insufficient_quota", "x", "")),
			permanent, notDone, 0, "code insufficient_quota"},
		{"credit", response(429, openai("", "credit_balance_exhausted", "")),
			permanent, notDone, 0, "code credit_balance_exhausted"},
		{"spend", response(429, openai("", "organization_spend_limit_exceeded", "")),
			permanent, notDone, 0, "code organization_spend_limit_exceeded"},
		{"project", response(429, openai("", "project_spend_limit_exceeded", "")),
			permanent, notDone, 0, "code project_spend_limit_exceeded"},
		{"usage", response(429, openai("", "organization_usage_limit_exceeded", "")),
			permanent, notDone, 0, "code organization_usage_limit_exceeded"},
		{"limit", response(429, openai("requests", "rate_limit_exceeded", "Slow down.")),
			limited, notDone, 0, "code rate_limit_exceeded"},
		{"limit with header", response(429, openai("requests", "rate_limit_exceeded", busy),
			"Retry-After", "3"), limited, notDone, 3 * time.Second, "code rate_limit_exceeded"},
		{"wait in the text", response(429, openai("tokens", "rate_limit_exceeded", busy)),
			limited, notDone, 62500 * time.Millisecond, "code rate_limit_exceeded"},
		{"no fall through", response(429, openai("tokens", "rate_limit_exceeded", busy),
			"Retry-After", "soon"), limited, notDone, 0, "code rate_limit_exceeded"},
		{"reset", response(429, openai("tokens", "rate_limit_exceeded", busy),
			"x-ratelimit-reset-tokens", "6m0s", "x-ratelimit-remaining-tokens", "0"),
			limited, notDone, 6 * time.Minute, "code rate_limit_exceeded"},
		{"too fast", response(429, openai("", "slow_down", "")), limited, notDone, 0,
			"code slow_down"},
		{"overload", response(503, openai("", "server_is_overloaded", "")), overloaded, notDone, 0,
			"code server_is_overloaded"},
		{"context", response(400, openai("invalid_request_error", "context_length_exceeded", "")),
			permanent, notDone, 0, "code context_length_exceeded"},
		{"too large", response(429, openai("tokens", "rate_limit_exceeded", large)),
			permanent, notDone, 0, "request above the limit"},
		{"server", response(500, openai("server_error", "", "Sorry.")), transient, maybe, 0,
			"status 500"},
		{"key", response(401, openai("", "invalid_api_key", "")), permanent, notDone, 0,
			"code invalid_api_key"},
		{"lock", response(409, openai("", "", "")), transient, notDone, 0, "status 409"},
		{"no lock", response(409, "", "X-Should-Retry", "false"), permanent, notDone, 0,
			"status 409"},
	})
}

func TestClassifyAnthropic(t *testing.T) {
	body := func(kind, more string) string {
		return fmt.Sprintf(`{"type": "error", "error": {"type": %q, "message": "m"%s}}`, kind, more)
	}
	const spend = `, "details": {"error_code": "enforced_spend_limit_reached"}`
	checkBodies(t, []bodyRow{
		{"limit", response(429, body("rate_limit_error", ""), "Retry-After", "12"),
			limited, notDone, 12 * time.Second, "code rate_limit_error"},
		{"spend", response(429, body("rate_limit_error", spend)), permanent, notDone, 0,
			"code enforced_spend_limit_reached"},
		{"overload", response(529, body("overloaded_error", "")), overloaded, notDone, 0,
			"code overloaded_error"},
		{"overload by 500", response(500, body("overloaded_error", "")), overloaded, notDone, 0,
			"code overloaded_error"},
		{"api", response(500, body("api_error", "")), transient, maybe, 0, "status 500"},
		{"large", response(413, body("request_too_large", "")), permanent, notDone, 0,
			"code request_too_large"},
		{"request", response(400, body("invalid_request_error", "")), permanent, notDone, 0,
			"status 400"},
		{"billing", response(402, body("billing_error", "")), permanent, notDone, 0,
			"code billing_error"},
		{"retry: false", response(529, body("overloaded_error", ""), "X-Should-Retry", "false"),
			permanent, notDone, 0, "status 529, x-should-retry"},
		{"retry: true", response(400, body("invalid_request_error", ""), "X-Should-Retry", "true"),
			transient, notDone, 0, "status 400, x-should-retry"},
		{"retry: true, but spent", response(429, body("x", spend), "X-Should-Retry", "true"),
			permanent, notDone, 0, "code enforced_spend_limit_reached"},
	})
}

func TestClassifyGoogle(t *testing.T) {
	body := func(code int, status, message, details string) string {
		return fmt.Sprintf(`{"error": {"code": %d, "message": %q, "status": %q, "details": [%s]}}`,
			code, message, status, details)
	}
	wait := func(d string) string {
		return fmt.Sprintf(`{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": %q}`, d)
	}
	quota := func(id string) string {
		return fmt.Sprintf(`{"@type": "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": [{"quotaId": %q, "quotaValue": "10"}]}, `, id)
	}
	const exhausted = "RESOURCE_EXHAUSTED"
	minute := quota("GenerateRequestsPerMinutePerProject")
	day := quota("GenerateRequestsPerDayPerProject")
	checkBodies(t, []bodyRow{
		{"minute", response(429, body(429, exhausted, "", minute+wait("53s"))), limited, notDone,
			53 * time.Second, "status 429"},
		{"day", response(429, body(429, exhausted, "", day+wait("53s"))), permanent, notDone,
			53 * time.Second, "status 429, quota spent"},
		{"hours", response(429, body(429, exhausted, "", wait("10h17m"))), limited, notDone,
			10*time.Hour + 17*time.Minute, "status 429"},
		{"no details", response(429, body(429, exhausted, "Please retry in 7.5s.", "")), limited,
			notDone, 7500 * time.Millisecond, "status 429"},
		{"no limit at all", response(429, body(429, exhausted, "Quota exceeded, limit: 0", "")),
			permanent, notDone, 0, "status 429, quota spent"},
		{"in a list", response(429, "["+body(429, exhausted, "", day+wait("53s"))+"]"), permanent,
			notDone, 53 * time.Second, "status 429, quota spent"},
		{"overload", response(503, body(503, "UNAVAILABLE", "The model is overloaded.", "")),
			overloaded, notDone, 0, "code UNAVAILABLE"},
		{"internal", response(500, body(500, "INTERNAL", "", "")), transient, maybe, 0,
			"status 500"},
		{"argument", response(400, body(400, "INVALID_ARGUMENT", "", "")), permanent, notDone, 0,
			"status 400"},
	})
}

func TestClassifyBedrock(t *testing.T) {
	header := func(status int, code string) error {
		return response(status, `{"message": "m"}`, "X-Amzn-ErrorType", code+":http://example.com/")
	}
	checkBodies(t, []bodyRow{
		{"throttled", header(429, "ThrottlingException"), limited, notDone, 0,
			"code ThrottlingException"},
		{"in the body", response(400, `{"__type": "com.amazon#ThrottlingException"}`), limited,
			notDone, 0, "code ThrottlingException"},
		{"not ready", header(429, "ModelNotReadyException"), transient, maybe, 0,
			"code ModelNotReadyException"},
		{"model timeout", header(408, "ModelTimeoutException"), transient, maybe, 0,
			"code ModelTimeoutException"},
		{"model", header(424, "ModelErrorException"), transient, maybe, 0,
			"code ModelErrorException"},
		{"stream", header(424, "ModelStreamErrorException"), transient, maybe, 0,
			"code ModelStreamErrorException"},
		{"quota", header(400, "ServiceQuotaExceededException"), permanent, notDone, 0,
			"code ServiceQuotaExceededException"},
		{"unavailable", header(503, "ServiceUnavailableException"), overloaded, maybe, 0,
			"code ServiceUnavailableException"},
	})
}

func TestClassifyCompatible(t *testing.T) {
	const nested = `{"error": {"code": 429, "message": "Provider returned error", "metadata":
		{"raw": "{\"error\": {\"code\": \"insufficient_quota\"}}", "provider_name": "OpenAI"}}}`
	checkBodies(t, []bodyRow{
		{"Azure", response(429, `{"error": {"code": "429", "message":
			"Requests have exceeded call rate limit. Please retry after 20 seconds."}}`),
			limited, notDone, 20 * time.Second, "status 429"},
		{"Azure content", response(400, `{"error": {"code": "x", "innererror":
			{"code": "ResponsibleAIPolicyViolation"}}}`), permanent, notDone, 0,
			"code ResponsibleAIPolicyViolation"},
		{"OpenRouter", response(429, nested), permanent, notDone, 0, "code insufficient_quota"},
		{"Moonshot", response(429, `{"error": {"type": "engine_overloaded_error"}}`),
			overloaded, notDone, 0, "code engine_overloaded_error"},
		{"Moonshot quota", response(429, `{"error": {"type": "exceeded_current_quota_error"}}`),
			permanent, notDone, 0, "code exceeded_current_quota_error"},
		{"llama.cpp", response(500, `{"error": {"type": "exceed_context_size_error"}}`),
			permanent, notDone, 0, "code exceed_context_size_error"},
		{"a word", response(429, `{"error": "insufficient_quota"}`), permanent, notDone, 0,
			"code insufficient_quota"},
		{"a text", response(503, `{"error": "Model is loading", "estimated_time": 20.0}`),
			overloaded, maybe, 0, "status 503"},
		{"FastAPI", response(422, `{"detail": [{"loc": [], "msg": "m", "type": "missing"}]}`),
			permanent, notDone, 0, "status 422"},
		{"an event", response(429, "event: error\ndata: "+openai("", "insufficient_quota", "")),
			permanent, notDone, 0, "code insufficient_quota"},
	})
}

// If a body cannot be read, the status decides.
func TestClassifyUnreadable(t *testing.T) {
	for _, body := range []string{
		"", "null", "true", `"insufficient_quota"`, "{", "[[[", "<html>insufficient_quota</html>",
		openai("", "insufficient_quota", "")[:60], `{"error": null}`, `{"error": 7, "code": {}}`,
		`{"error": {"code": -1, "status": 1e300, "details": "x", "metadata": {"raw": "{"}}}`,
		strings.Repeat(`{"error": `, 50) + `{"code": "insufficient_quota"}` + strings.Repeat("}", 50),
		strings.Repeat("[", 100000), "data:", "event: error\n", "\xff\xfe{}",
	} {
		for status, want := range map[int]fault.Kind{429: limited, 500: transient, 400: permanent} {
			f := llm.Classify(response(status, body))
			if detail := fmt.Sprintf("status %d", status); f.Kind != want || f.Detail != detail {
				t.Errorf("status %d, %.60q: got %v, %q, want %v, %q", status, body, f.Kind,
					f.Detail, want, detail)
			}
		}
	}
}

// A Transport marks a response that SDKs must not retry. The kind stays the same.
func TestClassifyGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{failing(429, "{}", "Retry-After", "300")}}
		resp, _, err := post(t, llmClient(s, 3), chatPath)
		if err != nil {
			t.Fatal(err)
		}
		f := llm.Classify(&sdkError{resp})
		if f.Kind != limited || f.After != 5*time.Minute || s.calls != 1 {
			t.Errorf("got %v after %v, %d calls, want rate limited after 5m0s, 1 call",
				f.Kind, f.After, s.calls)
		}
	})
}

func TestClassifyOutranked(t *testing.T) {
	quota := response(429, openai("", "insufficient_quota", ""))
	if f := llm.Classify(fmt.Errorf("call: %w", quota)); f.Kind != permanent {
		t.Errorf("wrapped: got %v, want permanent", f.Kind)
	}
	if f := llm.Classify(errors.Join(errors.New("x"), quota)); f.Kind != permanent {
		t.Errorf("joined: got %v, want permanent", f.Kind)
	}
	if f := llm.Classify(rebound.Transient(quota)); f.Kind != transient {
		t.Errorf("marked: got %v, want transient", f.Kind)
	}
	if f := llm.Classify(nil); f != (fault.Fault{Kind: fault.None}) {
		t.Errorf("nil: got %+v, want none", f)
	}
	if f := llm.Classify(errors.New("x")); f.Kind != fault.Unknown {
		t.Errorf("unknown: got %v", f.Kind)
	}
	inner := &rebound.Error{Reason: rebound.Exhausted, Attempts: 3, Err: response(429, "")}
	inner.Fault = fault.Fault{Kind: limited}
	if f := llm.Classify(inner); !f.Final || f.Kind != limited {
		t.Errorf("after an inner policy gave up: got %v, final %t, want rate limited, final",
			f.Kind, f.Final)
	}
}
