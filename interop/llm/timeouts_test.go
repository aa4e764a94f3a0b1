package llm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	openaioption "github.com/openai/openai-go/v3/option"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

// An SDK's own timeout covers all attempts and delays of the Transport, as the caller's deadline. A
// delay that would pass it does not begin, and the server's answer is not lost.
func TestSDKTimeouts(t *testing.T) {
	asks := map[string]func(context.Context, *http.Client, time.Duration) error{
		"openai": func(ctx context.Context, hc *http.Client, d time.Duration) error {
			c := openaiClient(hc, true)
			_, err := c.Chat.Completions.New(ctx, chat, openaioption.WithRequestTimeout(d))
			return err
		},
		"anthropic": func(ctx context.Context, hc *http.Client, d time.Duration) error {
			c := anthropicClient(hc, true)
			_, err := c.Messages.New(ctx, message, anthropicoption.WithRequestTimeout(d))
			return err
		},
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, ask := range asks {
		synctest.Test(t, func(t *testing.T) {
			w := serve(t, respond(429, "{}", "Retry-After", "1"))
			err := ask(t.Context(), three(w), 500*time.Millisecond)
			if f := llm.Classify(err); w.count() != 1 || f.Kind != fault.RateLimited {
				t.Errorf("%s: %d requests, %v, want 1 and the 429", name, w.count(), err)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			w := serve(t, hang)
			err := ask(t.Context(), three(w), 200*time.Millisecond)
			want := map[string]int{"openai": 1, "anthropic": 3}[name] // what the SDKs do by themselves
			if w.count() != want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %d requests, %v, want %d, deadline exceeded",
					name, w.count(), err, want)
			}
		})
	}
}
