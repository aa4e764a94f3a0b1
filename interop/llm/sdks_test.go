package llm_test

import (
	"context"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"google.golang.org/genai"
)

// sdk asks a model through one of the SDKs, with the SDK's own retries as they are by default or
// switched off.
type sdk struct {
	name     string
	defaults int    // attempts that the SDK makes by itself
	path     string // of its requests
	ask      func(ctx context.Context, hc *http.Client, own bool) (string, error)
	stream   func(ctx context.Context, hc *http.Client, own bool) (string, error)

	answer string   // a good response
	events []string // a good stream, the first without output and the last the end mark
	crowd  string   // an event that says that the model is overloaded
}

var sdks = []sdk{openaiSDK, responsesSDK, anthropicSDK, googleSDK}

func openaiClient(hc *http.Client, own bool) openai.Client {
	options := []openaioption.RequestOption{
		openaioption.WithHTTPClient(hc), openaioption.WithAPIKey("k"),
		openaioption.WithBaseURL("http://api.test/v1"),
	}
	if !own {
		options = append(options, openaioption.WithMaxRetries(0))
	}
	return openai.NewClient(options...)
}

var chat = openai.ChatCompletionNewParams{
	Model:    openai.ChatModelGPT5_5,
	Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
}

var openaiSDK = sdk{
	name: "openai", defaults: 3, path: "/v1/chat/completions",
	ask: func(ctx context.Context, hc *http.Client, own bool) (string, error) {
		c := openaiClient(hc, own)
		r, err := c.Chat.Completions.New(ctx, chat)
		if err != nil || len(r.Choices) == 0 {
			return "", err
		}
		return r.Choices[0].Message.Content, nil
	},
	stream: func(ctx context.Context, hc *http.Client, own bool) (text string, err error) {
		c := openaiClient(hc, own)
		s := c.Chat.Completions.NewStreaming(ctx, chat)
		for s.Next() {
			for _, choice := range s.Current().Choices {
				text += choice.Delta.Content
			}
		}
		return text, s.Err()
	},
	answer: `{"choices": [{"message": {"content": "Hello!"}}]}`,
	events: []string{
		`data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}`,
		`data: {"choices": [{"delta": {"content": "Hello"}}]}`,
		`data: {"choices": [{"delta": {"content": "!"}}]}`,
		`data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}`,
		"data: [DONE]",
	},
	crowd: `data: {"error": {"code": "server_is_overloaded", "message": "m"}}`,
}

var responsesSDK = sdk{
	name: "openai responses", defaults: 3, path: "/v1/responses",
	ask: func(ctx context.Context, hc *http.Client, own bool) (string, error) {
		c := openaiClient(hc, own)
		r, err := c.Responses.New(ctx, question)
		if err != nil {
			return "", err
		}
		return r.OutputText(), nil
	},
	stream: func(ctx context.Context, hc *http.Client, own bool) (text string, err error) {
		c := openaiClient(hc, own)
		s := c.Responses.NewStreaming(ctx, question)
		for s.Next() {
			if e := s.Current(); e.Type == "response.output_text.delta" {
				text += e.Delta
			}
		}
		return text, s.Err()
	},
	answer: `{"output": [{"type": "message", "content": [
		{"type": "output_text", "text": "Hello!"}]}]}`,
	events: []string{
		"event: response.created\n" + `data: {"type": "response.created", "response": {}}`,
		"event: response.output_text.delta\n" +
			`data: {"type": "response.output_text.delta", "delta": "Hello"}`,
		"event: response.output_text.delta\n" +
			`data: {"type": "response.output_text.delta", "delta": "!"}`,
		"event: response.completed\n" + `data: {"type": "response.completed", "response": {}}`,
	},
	crowd: "event: error\n" +
		`data: {"type": "error", "code": "server_is_overloaded", "message": "m"}`,
}

var anthropicSDK = sdk{
	name: "anthropic", defaults: 3, path: "/v1/messages",
	ask: func(ctx context.Context, hc *http.Client, own bool) (string, error) {
		c := anthropicClient(hc, own)
		r, err := c.Messages.New(ctx, message)
		if err != nil || len(r.Content) == 0 {
			return "", err
		}
		return r.Content[0].Text, nil
	},
	stream: func(ctx context.Context, hc *http.Client, own bool) (text string, err error) {
		c := anthropicClient(hc, own)
		s := c.Messages.NewStreaming(ctx, message)
		for s.Next() {
			text += s.Current().Delta.Text
		}
		return text, s.Err()
	},
	answer: `{"type": "message", "content": [{"type": "text", "text": "Hello!"}]}`,
	events: []string{
		"event: message_start\n" + `data: {"type": "message_start", "message": {}}`,
		"event: content_block_delta\n" + `data: {"type": "content_block_delta", "index": 0,` +
			` "delta": {"type": "text_delta", "text": "Hello"}}`,
		"event: content_block_delta\n" + `data: {"type": "content_block_delta", "index": 0,` +
			` "delta": {"type": "text_delta", "text": "!"}}`,
		"event: message_stop\n" + `data: {"type": "message_stop"}`,
	},
	crowd: "event: error\n" +
		`data: {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}`,
}

func anthropicClient(hc *http.Client, own bool) anthropic.Client {
	options := []anthropicoption.RequestOption{
		anthropicoption.WithHTTPClient(hc), anthropicoption.WithAPIKey("k"),
		anthropicoption.WithBaseURL("http://api.test"),
	}
	if !own {
		options = append(options, anthropicoption.WithMaxRetries(0))
	}
	return anthropic.NewClient(options...)
}

var message = anthropic.MessageNewParams{
	Model: "claude", MaxTokens: 10,
	Messages: []anthropic.MessageParam{
		anthropic.NewUserMessage(anthropic.NewTextBlock("hello")),
	},
}

// The SDK of Google makes no retries by default.
var googleSDK = sdk{
	name: "google", defaults: 1, path: "/v1beta/models/gemini:generateContent",
	ask: func(ctx context.Context, hc *http.Client, _ bool) (string, error) {
		c, err := googleClient(ctx, hc)
		if err != nil {
			return "", err
		}
		r, err := c.Models.GenerateContent(ctx, "gemini", genai.Text("hello"), nil)
		if err != nil {
			return "", err
		}
		return r.Text(), nil
	},
	stream: func(ctx context.Context, hc *http.Client, _ bool) (text string, err error) {
		c, err := googleClient(ctx, hc)
		if err != nil {
			return "", err
		}
		for r, err := range c.Models.GenerateContentStream(ctx, "gemini", genai.Text("hello"), nil) {
			if err != nil {
				return text, err
			}
			text += r.Text()
		}
		return text, nil
	},
	answer: `{"candidates": [{"content": {"parts": [{"text": "Hello!"}]}, "finishReason": "STOP"}]}`,
	events: []string{
		`data: {"usageMetadata": {"promptTokenCount": 1}}`,
		`data: {"candidates": [{"content": {"parts": [{"text": "Hello"}]}}]}`,
		`data: {"candidates": [{"content": {"parts": [{"text": "!"}]}, "finishReason": "STOP"}]}`,
	},
	crowd: `data: {"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}`,
}

func googleClient(ctx context.Context, hc *http.Client) (*genai.Client, error) {
	return genai.NewClient(ctx, &genai.ClientConfig{
		APIKey: "k", Backend: genai.BackendGeminiAPI, HTTPClient: hc,
		HTTPOptions: genai.HTTPOptions{BaseURL: "http://api.test"},
	})
}

var question = responses.ResponseNewParams{
	Model: openai.ChatModelGPT5_5,
	Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hello")},
}
