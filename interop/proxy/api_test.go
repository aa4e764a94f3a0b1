package proxy_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// answer is what the server does with one request.
type answer func(w http.ResponseWriter, r *http.Request)

// faulty is a server that plays answers in turn, the last one for ever, and counts the requests.
type faulty struct {
	*httptest.Server
	requests atomic.Int32
}

func serve(t *testing.T, answers ...answer) *faulty {
	f := &faulty{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answers[min(int(f.requests.Add(1)), len(answers))-1](w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// json answers with a status and a body, packed if the client takes it.
func json(status int, body string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		packed := gzip.NewWriter(w)
		_, _ = io.WriteString(packed, body)
		_ = packed.Close()
	}
}

// reset breaks the connection.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// stream sends events, and then ends.
func stream(events ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			_, _ = io.WriteString(w, e+"\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// cut sends events, and then breaks the connection.
func cut(events ...string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		stream(events...)(w, r)
		reset(w, r)
	}
}

// provider is how an API answers.
type provider struct {
	name     string
	whole    string
	events   []string // the first without output, the last the end mark
	crowd    string   // an event that says that the model is overloaded
	busy     answer
	quota    answer
	quotaHas string // the part of it in an error
}

var openaiAPI = provider{
	name:  "openai",
	whole: `{"choices": [{"message": {"role": "assistant", "content": "Hello!"}}]}`,
	events: []string{
		`data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}`,
		`data: {"choices": [{"delta": {"content": "Hello"}}]}`,
		`data: {"choices": [{"delta": {"content": "!"}}]}`,
		`data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}`,
		"data: [DONE]",
	},
	crowd: `data: {"error": {"code": "server_is_overloaded", "message": "m"}}`,
	busy:  json(503, `{"error": {"code": "server_is_overloaded", "message": "busy"}}`),
	quota: json(429, `{"error": {"code": "insufficient_quota", "type": "insufficient_quota",
		"message": "used up"}}`),
	quotaHas: "used up",
}

var anthropicAPI = provider{
	name: "anthropic",
	whole: `{"type": "message", "role": "assistant",
		"content": [{"type": "text", "text": "Hello!"}]}`,
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
	busy: json(529, `{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}`),
	quota: json(429, `{"type": "error", "error": {"type": "rate_limit_error", "message": "used up",
		"details": {"error_code": "enforced_spend_limit_reached"}}}`),
	quotaHas: "used up",
}

var providers = []provider{openaiAPI, anthropicAPI}
