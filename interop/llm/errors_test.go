package llm_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

type errorRow struct {
	name   string
	sdk    sdk
	status int
	body   string
	header []string
	kind   fault.Kind
	after  time.Duration
}

const (
	limited   = fault.RateLimited
	permanent = fault.Permanent
	transient = fault.Transient
)

// openaiBody is an error from OpenAI.
func openaiBody(code, message string) string {
	return `{"error": {"message": "` + message + `", "type": "t", "param": null, "code": "` +
		code + `"}}`
}

const tooLarge = "Request too large for gpt-4o on tokens per min (TPM): " +
	"Limit 30000, Requested 36055."

func googleBody(status, details string) string {
	return `{"error": {"code": 429, "message": "m", "status": "` + status + `", "details": [` +
		details + `]}}`
}

var errorRows = []errorRow{
	{"quota", openaiSDK, 429, openaiBody("insufficient_quota", ""), nil, permanent, 0},
	{"credit", openaiSDK, 429, openaiBody("credit_balance_exhausted", ""), nil, permanent, 0},
	{"spend", openaiSDK, 429, openaiBody("project_spend_limit_exceeded", ""), nil, permanent, 0},
	{"limit", openaiSDK, 429, openaiBody("rate_limit_exceeded", ""), []string{"Retry-After", "7"},
		limited, 7 * time.Second},
	{"reset", openaiSDK, 429, openaiBody("rate_limit_exceeded", ""),
		[]string{"x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6m0s"},
		limited, 6 * time.Minute},
	{"text", openaiSDK, 429, openaiBody("rate_limit_exceeded", "Please try again in 1.5s."), nil,
		limited, 1500 * time.Millisecond},
	{"slow down", openaiSDK, 429, openaiBody("slow_down", ""), nil, limited, 0},
	{"overloaded", openaiSDK, 503, openaiBody("server_is_overloaded", ""), nil,
		fault.Overloaded, 0},
	{"context", openaiSDK, 400, openaiBody("context_length_exceeded", ""), nil, permanent, 0},
	{"too large", openaiSDK, 429, openaiBody("rate_limit_exceeded", tooLarge), nil, permanent, 0},
	{"server", responsesSDK, 500, openaiBody("server_error", ""), nil, transient, 0},

	{"limit", anthropicSDK, 429, `{"type": "error", "error": {"type": "rate_limit_error"}}`,
		[]string{"Retry-After", "9"}, limited, 9 * time.Second},
	{"reset", anthropicSDK, 429, `{"type": "error", "error": {"type": "rate_limit_error"}}`,
		[]string{"Date", "Sun, 22 Nov 2026 10:00:00 GMT",
			"anthropic-ratelimit-tokens-remaining", "0",
			"anthropic-ratelimit-tokens-reset", "2026-11-22T10:00:30Z"}, limited, 30 * time.Second},
	{"spend", anthropicSDK, 429, `{"type": "error", "error": {"type": "rate_limit_error",
		"details": {"error_code": "enforced_spend_limit_reached"}}}`, nil, permanent, 0},
	{"overloaded", anthropicSDK, 529, `{"type": "error", "error": {"type": "overloaded_error"}}`,
		nil, fault.Overloaded, 0},
	{"too large", anthropicSDK, 413, `{"type": "error", "error": {"type": "request_too_large"}}`,
		nil, permanent, 0},

	{"minute", googleSDK, 429, googleBody("RESOURCE_EXHAUSTED",
		`{"@type": "type.googleapis.com/google.rpc.QuotaFailure",
		"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]},
		{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "53s"}`), nil,
		limited, 53 * time.Second},
	{"day", googleSDK, 429, googleBody("RESOURCE_EXHAUSTED",
		`{"@type": "type.googleapis.com/google.rpc.QuotaFailure",
		"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}`), nil,
		permanent, 0},
	{"hours", googleSDK, 429, googleBody("RESOURCE_EXHAUSTED",
		`{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "10h17m"}`), nil,
		limited, 10*time.Hour + 17*time.Minute},

	{"payment", openaiSDK, 402, "{}", nil, permanent, 0},
	{"policy", openaiSDK, 400, openaiBody("content_policy_violation", ""), nil, permanent, 0},
	{"key", anthropicSDK, 401, `{"type": "error", "error": {"type": "authentication_error"}}`, nil,
		permanent, 0},
}

// Classify reads the SDKs' errors, also without a Transport.
func TestErrors(t *testing.T) {
	for _, row := range errorRows {
		t.Run(row.sdk.name+" "+row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := serve(t, respond(row.status, row.body, row.header...))
				_, err := row.sdk.ask(t.Context(), &http.Client{Transport: w}, false)
				if f := llm.Classify(err); f.Kind != row.kind || f.After != row.after {
					t.Errorf("got %v after %v, %q, want %v after %v",
						f.Kind, f.After, f.Detail, row.kind, row.after)
				}
			})
		})
	}
}

// Over a real network: an error shows whether a request may have arrived, and the Transport repeats
// no permanent failure. Only the SDK's own attempts, which follow every such error, go beyond.
func TestNetwork(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	secure := httptest.NewTLSServer(respond(200, "{}"))
	defer secure.Close()

	for _, row := range []struct {
		name   string
		url    string
		is     func(error) bool
		tries  int
		reason rebound.Reason
	}{
		{"refused", "http://" + refused.Addr().String(), fault.IsConnection, 2, rebound.Exhausted},
		{"certificate", secure.URL, func(err error) bool {
			return errors.As(err, new(x509.UnknownAuthorityError))
		}, 1, rebound.NotRetryable},
		{"no such host", "http://" + unknownHost, func(err error) bool {
			var e *net.DNSError
			return errors.As(err, &e)
		}, 1, rebound.NotRetryable},
	} {
		base := &http.Transport{DialContext: dial}
		tries := 0
		p := llm.NewPolicy()
		p.Attempts, p.Backoff = 2, nil
		p.Classify = func(err error) fault.Fault { tries++; return llm.Classify(err) }
		tr := &llm.Transport{Base: toward{row.url, base}, Policy: p}
		_, err := openaiSDK.ask(t.Context(), &http.Client{Transport: tr}, false)
		if !row.is(err) || !errors.Is(err, row.reason) || tries != row.tries {
			t.Errorf("%s: got %v after %d tries, want %s after %d",
				row.name, err, tries, row.reason, row.tries)
		}
		base.CloseIdleConnections()
	}
}

const unknownHost = "host.invalid:80"

// dial connects, except to the host that does not exist, even where there is no name server.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr == unknownHost {
		err := &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// toward sends requests to another server.
type toward struct {
	url  string
	base http.RoundTripper
}

func (to toward) RoundTrip(req *http.Request) (*http.Response, error) {
	moved, err := http.NewRequest(req.Method, to.url+req.URL.Path, req.Body)
	if err != nil {
		return nil, err
	}
	return to.base.RoundTrip(moved.WithContext(req.Context()))
}
