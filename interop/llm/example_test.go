package llm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"google.golang.org/genai"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/llm"
)

// quick is llm.NewPolicy with short delays.
func quick() *rebound.Policy {
	p := llm.NewPolicy()
	p.Backoff = backoff.Constant(time.Millisecond)
	p.Throttled = backoff.Constant(time.Millisecond)
	return p
}

// play is a server that gives answers in turn. One that begins with a digit is a status and a body,
// any other a stream.
func play(answers ...string) *httptest.Server {
	n := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer := answers[min(n, len(answers)-1)]
		n++
		var status int
		if _, err := fmt.Sscanf(answer, "%d", &status); err != nil {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, answer)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer[4:])
	}))
}

const (
	busy  = `503 {"error": {"code": "server_is_overloaded", "message": "Try later."}}`
	quota = `429 {"error": {"code": "insufficient_quota", "message": "You exceeded it."}}`
)

func streamOf(events []string) string { return strings.Join(events, "\n\n") + "\n\n" }

func ask(ctx context.Context, client openai.Client) (string, error) {
	r, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model:    openai.ChatModelGPT5_5,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
	})
	if err != nil {
		return "", err
	}
	return r.Choices[0].Message.Content, nil
}

func askClaude(ctx context.Context, client anthropic.Client) (string, error) {
	r, err := client.Messages.New(ctx, message)
	if err != nil {
		return "", err
	}
	return r.Content[0].Text, nil
}

func Example_openAI() {
	srv := play(busy, busy, "200 "+openaiSDK.answer)
	defer srv.Close()

	policy := quick()
	client := openai.NewClient(
		option.WithHTTPClient(llm.NewClient(policy)),
		option.WithMaxRetries(0),
		option.WithBaseURL(srv.URL), option.WithAPIKey("key"),
	)
	answer, err := ask(context.Background(), client)
	fmt.Println(answer, err)
	// Output: Hello! <nil>
}

func Example_anthropic() {
	srv := play(busy, busy, "200 "+anthropicSDK.answer)
	defer srv.Close()

	policy := quick()
	client := anthropic.NewClient(
		anthropicoption.WithHTTPClient(llm.NewClient(policy)),
		anthropicoption.WithMaxRetries(0),
		anthropicoption.WithBaseURL(srv.URL), anthropicoption.WithAPIKey("key"),
	)
	answer, err := askClaude(context.Background(), client)
	fmt.Println(answer, err)
	// Output: Hello! <nil>
}

func Example_gemini() {
	srv := play(busy, busy, "200 "+googleSDK.answer)
	defer srv.Close()

	ctx, policy := context.Background(), quick()
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		HTTPClient: llm.NewClient(policy),
		HTTPOptions: genai.HTTPOptions{
			RetryOptions: nil, // the default: the SDK makes no retries
			BaseURL:      srv.URL,
		},
		APIKey: "key", Backend: genai.BackendGeminiAPI,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := client.Models.GenerateContent(ctx, "gemini-2.5-flash", genai.Text("Hi"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Text())
	// Output: Hello!
}

// The stream breaks off twice, once before its first output and once after.
func Example_streaming() {
	srv := play(streamOf(openaiSDK.events[:1]), streamOf(openaiSDK.events[:2]))
	defer srv.Close()

	client := openai.NewClient(
		option.WithHTTPClient(llm.NewClient(quick())), option.WithMaxRetries(0),
		option.WithBaseURL(srv.URL), option.WithAPIKey("key"),
	)
	stream := client.Chat.Completions.NewStreaming(context.Background(), chat)
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			fmt.Print(choice.Delta.Content)
		}
	}
	var broken *llm.StreamError
	if errors.As(stream.Err(), &broken) && broken.Output {
		fmt.Println(" … the rest of the answer got lost")
	}
	// Output: Hello … the rest of the answer got lost
}

// If the quota of one provider is used up, another one answers.
func Example_fallback() {
	gpt, claude := play(quota), play(busy, "200 "+anthropicSDK.answer)
	defer gpt.Close()
	defer claude.Close()

	hc := llm.NewClient(nil)
	first := openai.NewClient(option.WithHTTPClient(hc), option.WithMaxRetries(0),
		option.WithBaseURL(gpt.URL), option.WithAPIKey("key"))
	second := anthropic.NewClient(anthropicoption.WithHTTPClient(hc),
		anthropicoption.WithMaxRetries(0),
		anthropicoption.WithBaseURL(claude.URL), anthropicoption.WithAPIKey("key"))

	policy := quick()
	policy.Attempts, policy.MaxElapsed = 4, time.Minute // of the whole chain
	type model func(context.Context) (string, error)
	models := []model{
		func(ctx context.Context) (string, error) { return ask(ctx, first) },
		func(ctx context.Context) (string, error) { return askClaude(ctx, second) },
	}
	answer, err := llm.Fallback(context.Background(), policy, models,
		func(ctx context.Context, m model) (string, error) { return m(ctx) })
	fmt.Println(answer, err)
	// Output: Hello! <nil>
}

// Without a Transport, the policy goes around the SDK, whose own retries must be off.
func Example_aroundTheSDK() {
	srv := play(busy, "200 "+openaiSDK.answer)
	defer srv.Close()

	client := openai.NewClient(option.WithMaxRetries(0),
		option.WithBaseURL(srv.URL), option.WithAPIKey("key"))
	answer, err := rebound.Do(context.Background(), quick(),
		func(ctx context.Context) (string, error) { return ask(ctx, client) })
	fmt.Println(answer, err)
	// Output: Hello! <nil>
}
