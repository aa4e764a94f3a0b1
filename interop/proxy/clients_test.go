package proxy_test

import (
	"context"
	encoding "encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"
)

// outcome is what a client returns for an answer.
type outcome struct {
	Text   string `json:"text"`
	Error  string `json:"error"`
	Status int    `json:"status"`
}

// client asks a model, with its own retries as they are by default.
type client struct {
	name   string
	begin  func(t *testing.T) asker // skips without what the client needs
	raises map[int]string           // a pattern of the error for a status
	bodies bool                     // errors show what the provider wrote
}

// asker sends a request to a base URL. how is ask or stream.
type asker func(t *testing.T, base, provider, how string) outcome

var clients = []client{
	{"Go", func(*testing.T) asker { return byGo },
		map[int]string{429: "429", 502: "502", 503: "503", 529: "529"}, true},
	{"Node", byNode, map[int]string{
		429: "RateLimitError|EnforcedSpendLimitReachedError",
		502: "InternalServerError", 503: "InternalServerError", 529: "OverloadedError"}, true},
	{"httpx", byPython("httpx"), statusErrors("HTTPStatusError"), false},
	{"requests", byPython("requests"), statusErrors("HTTPError"), false},
}

func statusErrors(name string) map[int]string {
	return map[int]string{429: name, 502: name, 503: name, 529: name}
}

func byGo(t *testing.T, base, provider, how string) outcome {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ask := askOpenAI
	if provider == "anthropic" {
		ask = askAnthropic
	}
	text, err := ask(ctx, base, how == "stream")
	o := outcome{Text: text}
	if err != nil {
		o.Error = err.Error()
	}
	if e := (*openai.Error)(nil); errors.As(err, &e) {
		o.Status = e.StatusCode
		o.Error += " " + e.RawJSON()
	}
	if e := (*anthropic.Error)(nil); errors.As(err, &e) {
		o.Status = e.StatusCode
	}
	return o
}

func askOpenAI(ctx context.Context, base string, streams bool) (text string, err error) {
	c := openai.NewClient(openaioption.WithBaseURL(base+"/v1"), openaioption.WithAPIKey("sk-secret"))
	params := openai.ChatCompletionNewParams{
		Model:    "gpt",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	}
	if !streams {
		r, err := c.Chat.Completions.New(ctx, params)
		if err != nil {
			return "", err
		}
		return r.Choices[0].Message.Content, nil
	}
	s := c.Chat.Completions.NewStreaming(ctx, params)
	for s.Next() {
		for _, choice := range s.Current().Choices {
			text += choice.Delta.Content
		}
	}
	return text, s.Err()
}

func askAnthropic(ctx context.Context, base string, streams bool) (text string, err error) {
	c := anthropic.NewClient(anthropicoption.WithBaseURL(base),
		anthropicoption.WithAPIKey("sk-secret"))
	params := anthropic.MessageNewParams{
		Model: "claude", MaxTokens: 10,
		Messages: []anthropic.MessageParam{
			anthropic.NewUserMessage(anthropic.NewTextBlock("hello")),
		},
	}
	if !streams {
		r, err := c.Messages.New(ctx, params)
		if err != nil {
			return "", err
		}
		return r.Content[0].Text, nil
	}
	s := c.Messages.NewStreaming(ctx, params)
	for s.Next() {
		text += s.Current().Delta.Text
	}
	return text, s.Err()
}

func byNode(t *testing.T) asker { return execute(t, node(t), "node", "client.mjs") }

func byPython(library string) func(*testing.T) asker {
	return func(t *testing.T) asker {
		need(t, python, "-c", "import httpx, requests")
		return execute(t, "testdata", python, "client.py", library)
	}
}

// execute runs a client, which reads requests and prints their outcomes.
func execute(t *testing.T, dir string, command ...string) asker {
	t.Helper()
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Stderr = dir, os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(5*time.Minute, func() { _ = c.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		_ = in.Close()
		_ = c.Wait()
	})
	outcomes := encoding.NewDecoder(out)
	return func(t *testing.T, base, provider, how string) (o outcome) {
		t.Helper()
		_, _ = fmt.Fprintln(in, provider, how, base)
		if err := outcomes.Decode(&o); err != nil {
			t.Fatal(err)
		}
		return o
	}
}
