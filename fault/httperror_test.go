package fault_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

const rateLimited = fault.RateLimited

// openaiError is like openai's and anthropic's.
type openaiError struct {
	Code       string
	Type       string
	StatusCode int
	Response   *http.Response
}

func (e *openaiError) Error() string { return "POST: " + e.Code }

// genaiError is like genai.APIError, a value.
type genaiError struct {
	Code    int
	Message string
	Status  string
	Details []map[string]any
}

func (e genaiError) Error() string { return "Error " + e.Status }

// googleError is like googleapi.Error.
type googleError struct {
	Code    int
	Header  http.Header
	Details []any
}

func (e *googleError) Error() string { return "googleapi" }

// anyCode is like the errors of some clients whose codes are numbers or strings.
type anyCode struct {
	Code           any
	HTTPStatusCode int
}

func (e *anyCode) Error() string { return "any" }

// slackError is like Slack's, githubError like go-github's.
type slackError struct{ RetryAfter time.Duration }

func (e *slackError) Error() string { return "slack rate limit exceeded" }

type githubError struct {
	Response   *http.Response
	RetryAfter *time.Duration
}

func (e *githubError) Error() string { return "abuse" }

type waiting struct{}

func (waiting) Error() string             { return "wait" }
func (waiting) RetryAfter() time.Duration { return time.Minute }

// exitError has a Code that is not a status.
type exitError struct{ Code int }

func (e exitError) Error() string { return "exit" }

func respond(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h}
}

func TestSDKs(t *testing.T) {
	check(t, []row{
		{"status by response", &openaiError{Response: respond(503)}, overloaded, maybe,
			"status 503"},
		{"a number is not a code", &openaiError{StatusCode: 500, Code: "1113"}, transient, maybe,
			"status 500"},
		{"status by field", &openaiError{StatusCode: 404}, permanent, notDone, "status 404"},
		{"no status", &openaiError{}, unknown, maybe, ""},
		{"a stream that breaks after a 200", &openaiError{Response: respond(200)},
			unknown, maybe, ""},
		{"and says why", &openaiError{Response: respond(200), Type: "overloaded_error"},
			overloaded, notDone, "code overloaded_error"},
		{"rate limit", &openaiError{Code: "rate_limit_exceeded", Response: respond(429)},
			rateLimited, notDone, ""},
		{"too fast", &openaiError{Code: "slow_down", Response: respond(429)},
			rateLimited, notDone, ""},
		{"overloaded", &openaiError{Code: "server_is_overloaded", Response: respond(503)},
			overloaded, notDone, ""},
		{"money", &openaiError{Code: "insufficient_quota", Response: respond(429)},
			permanent, notDone, "code insufficient_quota"},
		{"money, by type", &openaiError{Type: "insufficient_quota", Code: "x", StatusCode: 429},
			permanent, notDone, ""},
		{"limit", &openaiError{Code: "project_spend_limit_exceeded", StatusCode: 429},
			permanent, notDone, ""},
		{"unknown code", &openaiError{Code: "nobody_knows", StatusCode: 500}, transient, maybe,
			"status 500"},
		{"code in an interface", &anyCode{"insufficient_quota", 429}, permanent, notDone, ""},
		{"number in an interface", &anyCode{5, 429}, rateLimited, notDone, "status 429"},
		{"genai", genaiError{Code: 503}, overloaded, maybe, "status 503"},
		{"googleapi", &googleError{Code: 500}, transient, maybe, "status 500"},
		{"a code that is not a status", exitError{503}, unknown, maybe, ""},
		{"github", &githubError{Response: respond(404)}, permanent, notDone, ""},
		{"the header allows a retry", &openaiError{Response: respond(400, "X-Should-Retry", "true")},
			transient, notDone, "status 400, x-should-retry"},
		{"the header forbids a retry", &openaiError{Response: respond(500, "X-Should-Retry", "false")},
			permanent, maybe, "status 500, x-should-retry"},
	})
}

func TestSDKWaits(t *testing.T) {
	object := func(kind string, more ...any) map[string]any {
		m := map[string]any{"@type": "type.googleapis.com/google.rpc." + kind}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	quota := func(id string) map[string]any {
		return object("QuotaFailure", "violations", []any{7, map[string]any{"quotaId": id}})
	}
	wait := object("RetryInfo", "retryDelay", "53s")
	minute := time.Minute
	for _, tc := range []struct {
		name  string
		err   error
		kind  fault.Kind
		after time.Duration
	}{
		{"seconds", &openaiError{Response: respond(429, "Retry-After", "3")},
			rateLimited, 3 * time.Second},
		{"milliseconds", &openaiError{Response: respond(503, "Retry-After-Ms", "1500")},
			overloaded, 1500 * time.Millisecond},
		{"date", &openaiError{Response: respond(429, "Retry-After",
			"Sun, 06 Nov 1994 08:49:37 GMT", "Date", "Sun, 06 Nov 1994 08:49:07 GMT")},
			rateLimited, 30 * time.Second},
		{"kept beside a code", &openaiError{Code: "insufficient_quota",
			Response: respond(429, "Retry-After", "3")}, permanent, 3 * time.Second},
		{"header of the error", &googleError{Code: 429, Header: respond(0, "Retry-After",
			"4").Header}, rateLimited, 4 * time.Second},
		{"field", &slackError{time.Second}, rateLimited, time.Second},
		{"no wait in the field", &slackError{}, unknown, 0},
		{"pointer field", &githubError{Response: respond(429), RetryAfter: &minute},
			rateLimited, minute},
		{"github's 403", &githubError{Response: respond(403, "Retry-After", "60")},
			rateLimited, minute},
		{"method", waiting{}, rateLimited, minute},

		{"gemini waits", genaiError{Code: 429, Details: []map[string]any{wait}},
			rateLimited, 53 * time.Second},
		{"gemini by the minute", genaiError{Code: 429, Details: []map[string]any{
			quota("GenerateRequestsPerMinutePerProjectPerModel"), wait}},
			rateLimited, 53 * time.Second},
		{"gemini by the day", genaiError{Code: 429, Details: []map[string]any{
			quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
			object("RetryInfo", "retryDelay", "10h17m")}}, permanent, 10*time.Hour + 17*time.Minute},
		{"gemini with nothing", genaiError{Code: 429, Message: "Quota exceeded, limit: 0, model: x"},
			permanent, 0},
		{"bad delay", genaiError{Code: 429, Details: []map[string]any{
			object("RetryInfo", "retryDelay", "soon")}}, rateLimited, 0},
		{"googleapi", &googleError{Code: 429, Details: []any{wait, nil, "x"}},
			rateLimited, 53 * time.Second},
	} {
		if f := fault.Of(tc.err); f.Kind != tc.kind || f.After != tc.after {
			t.Errorf("%s: %v after %v, want %v after %v", tc.name, f.Kind, f.After,
				tc.kind, tc.after)
		}
	}
}

// awsError, awsResponse, MaxAttemptsError, awsCanceled, awsSaid and awsSend are like those of the
// AWS SDK.
type awsError struct{ code string }

func (e *awsError) Error() string     { return "api error " + e.code }
func (e *awsError) ErrorCode() string { return e.code }

type awsResponse struct {
	status int
	err    error
}

func (e *awsResponse) Error() string       { return "https response error" }
func (e *awsResponse) Unwrap() error       { return e.err }
func (e *awsResponse) HTTPStatusCode() int { return e.status }

type MaxAttemptsError struct {
	Attempt int
	Err     error
}

func (e *MaxAttemptsError) Error() string { return "exceeded maximum number of attempts" }
func (e *MaxAttemptsError) Unwrap() error { return e.Err }

type awsCanceled struct{ err error }

func (e *awsCanceled) Error() string       { return "canceled" }
func (e *awsCanceled) Unwrap() error       { return e.err }
func (e *awsCanceled) CanceledError() bool { return true }

type awsSaid struct {
	retry bool
	err   error
}

func (e *awsSaid) Error() string        { return "said" }
func (e *awsSaid) Unwrap() error        { return e.err }
func (e *awsSaid) RetryableError() bool { return e.retry }

type awsSend struct{ err error }

func (e *awsSend) Error() string         { return "request send failed" }
func (e *awsSend) Unwrap() error         { return e.err }
func (e *awsSend) ConnectionError() bool { return true }

func aws(status int, code string) error { return &awsResponse{status, &awsError{code}} }

func TestAWS(t *testing.T) {
	check(t, []row{
		{"throttled with a 400", aws(400, "ThrottlingException"), rateLimited, notDone,
			"code ThrottlingException"},
		{"slow down with a 503", aws(503, "SlowDown"), rateLimited, notDone, ""},
		{"unknown code", aws(500, "InternalServerError"), transient, maybe, "status 500"},
		{"no code", aws(429, ""), rateLimited, notDone, "status 429"},
		{"no status", &awsError{"Throttling"}, rateLimited, notDone, ""},
		{"no status, unknown code", &awsError{"Odd"}, unknown, maybe, ""},
		{"model not ready", aws(429, "ModelNotReadyException"), transient, maybe, ""},
		{"model timeout", aws(408, "ModelTimeoutException"), transient, maybe, ""},
		{"model error", aws(424, "ModelErrorException"), transient, maybe, ""},
		{"quota", aws(400, "ServiceQuotaExceededException"), permanent, notDone, ""},
		{"unavailable", aws(503, "ServiceUnavailableException"), overloaded, maybe, ""},
		{"canceled", &awsCanceled{errors.New("x")}, fault.Canceled, maybe, "canceled"},
		{"canceled by a deadline", &awsCanceled{context.DeadlineExceeded}, transient, maybe,
			"timeout"},
		{"may be retried", &awsSaid{true, aws(400, "Odd")}, transient, notDone, ""},
		{"may be retried, throttled", &awsSaid{true, aws(429, "")}, rateLimited, notDone, ""},
		{"must not be retried", &awsSaid{false, aws(500, "")}, permanent, maybe, ""},
		{"must not be retried, unknown", &awsSaid{false, errors.New("x")}, permanent, maybe, ""},
		{"send", &awsSend{errors.New("x")}, transient, maybe, "connection error"},
		{"send, never connected", &awsSend{dial(sys("connect", refusedErrno))},
			transient, notSent, "connection refused"},
	})
}

func TestAlreadyRetriedByAWS(t *testing.T) {
	for attempts, want := range map[int]bool{1: false, 2: true, 3: true} {
		f := fault.Of(&MaxAttemptsError{attempts, aws(400, "Throttling")})
		if f.Final != want || f.Kind != rateLimited {
			t.Errorf("after %d attempts of the SDK: %v, final %v, want rate_limited, final %v",
				attempts, f.Kind, f.Final, want)
		}
	}
}

// messageError is like the errors of SDKs that have a message.
type messageError struct {
	StatusCode int
	Message    string
}

func (e *messageError) Error() string { return "429" }

// FuzzLimitText: a text about a limit means a quota or a limit, with a delay or without.
func FuzzLimitText(f *testing.F) {
	for _, s := range []string{"try again in 1m2.5s.", "Please retry after 20 seconds, or later",
		"wait for 1e9 years", "limit: 0", "free-models-per-day", "retry in 99999999999999h",
		"please wait .", "每日", "TRY AGAIN IN 5 µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := fault.Of(&messageError{429, text})
		if got.Kind != rateLimited && got.Kind != permanent || got.After < 0 || got.Sent != notDone {
			t.Errorf("%q: got %+v, want a limit or a quota", text, got)
		}
	})
}
