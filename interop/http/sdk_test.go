package http_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundhttp"
)

// sdks request a completion with their defaults, such as three attempts.
var sdks = map[string]func(context.Context, *http.Client) error{
	"openai": func(ctx context.Context, hc *http.Client) error {
		c := openai.NewClient(openaioption.WithHTTPClient(hc), openaioption.WithAPIKey("k"),
			openaioption.WithBaseURL("http://api.test/v1"))
		_, err := c.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
			Model:    openai.ChatModelGPT5_5,
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
		})
		return err
	},
	"anthropic": func(ctx context.Context, hc *http.Client) error {
		c := anthropic.NewClient(anthropicoption.WithHTTPClient(hc), anthropicoption.WithAPIKey("k"),
			anthropicoption.WithBaseURL("http://api.test"))
		_, err := c.Messages.New(ctx, anthropic.MessageNewParams{
			Model: "claude", MaxTokens: 10,
			Messages: []anthropic.MessageParam{
				anthropic.NewUserMessage(anthropic.NewTextBlock("hello")),
			},
		})
		return err
	},
}

// An SDK above a Transport adds no attempts to those of the Transport.
func TestSDKsDoNotMultiply(t *testing.T) {
	always := func(*http.Request) bool { return true }
	tests := []struct {
		name       string
		status     int
		attempts   int
		idempotent func(*http.Request) bool
		want       int32 // requests
	}{
		{"rate limited", 429, 3, nil, 3},
		{"rate limited, five attempts", 429, 5, nil, 5},
		{"overloaded, harmless", 503, 3, always, 3},
		{"overloaded, harmless, five attempts", 529, 5, always, 5},
		{"internal error, harmless", 500, 3, always, 3},
		// Requests that the Transport must not repeat are left to the SDK, which repeats them.
		{"overloaded", 503, 3, nil, 3},
		{"permanent", 400, 3, always, 1},
	}
	for sdk, ask := range sdks {
		for _, tt := range tests {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n.Add(1)
					body, _ := io.ReadAll(r.Body)
					if !strings.Contains(string(body), "hello") {
						t.Errorf("%s: the body is %q, want a question in it", sdk, body)
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(tt.status)
					io.WriteString(w, `{"error":{"type":"a_type","message":"a message"}}`)
				}))
				hc := &http.Client{Transport: &reboundhttp.Transport{
					Base:       base,
					Policy:     &rebound.Policy{Attempts: tt.attempts},
					Idempotent: tt.idempotent,
				}}
				err := ask(t.Context(), hc)
				if n.Load() != tt.want {
					t.Errorf("%s, %s: %d requests, want %d", sdk, tt.name, n.Load(), tt.want)
				}
				var raw interface {
					error
					RawJSON() string
				}
				if !errors.As(err, &raw) || !strings.Contains(raw.RawJSON(), "a message") {
					t.Errorf("%s, %s: %v, want the server's own text", sdk, tt.name, err)
				}
			})
		}
	}
}
