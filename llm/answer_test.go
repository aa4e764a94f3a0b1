package llm_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

// typed is a reply with a good status, a type and a body.
func typed(kind, body string) reply {
	h := http.Header{}
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	return reply{header: h, body: body}
}

const (
	asJSON  = "application/json; charset=utf-8"
	asSSE   = "text/event-stream"
	asLines = "application/x-ndjson"
)

const googleArray = "/v1beta/models/g:streamGenerateContent"

// badAnswers are bodies with a good status that are failures.
var badAnswers = []struct {
	name  string
	path  string
	reply reply
}{
	{"an error", "", typed(asJSON, `{"error": {"code": 502}}`)},
	{"an error as a text", "", typed(asJSON, `{"error": "upstream failed"}`)},
	{"an error of Anthropic's", "/v1/messages",
		typed(asJSON, `{"type": "error", "error": {"type": "overloaded_error"}}`)},
	{"an error of vLLM's", "", typed(asJSON, `{"object": "error", "message": "m", "code": 500}`)},
	{"an error beside an answer", "", typed(asJSON, `{"choices": [], "error": {"code": 500}}`)},
	{"an error in a choice", "", typed(asJSON, `{"choices": [{"error": {"code": 502}}]}`)},
	{"a choice that failed", "", typed(asJSON, `{"choices": [{"finish_reason": "error"}]}`)},
	{"a failed response", "/v1/responses", typed(asJSON,
		`{"object": "response", "status": "failed", "error": {"code": "server_error"}}`)},
	{"a failed response, no error", "/v1/responses", typed(asJSON, `{"status": "failed"}`)},
	{"an error of Baidu's", "", typed(asJSON, `{"error_code": 336100, "error_msg": "try again"}`)},
	{"an error of MiniMax's", "", typed(asJSON, `{"base_resp": {"status_code": 1000}}`)},
	{"no success", "", typed(asJSON, `{"success": false, "msg": "m"}`)},
	{"an error in a list", "", typed(asJSON, `[{"error": {"code": 503, "status": "UNAVAILABLE"}}]`)},
	{"an error in pieces", googleArray, typed(asJSON, `[{"error": {"code": 503}}]`)},
	{"an error in lines", "/api/chat", typed(asLines, `{"error": "model is loading"}`+"\n")},
	{"an error of no type", "", typed("", `{"error": {"code": 502}}`)},
	{"an error as text", "", typed("text/plain", `{"error": {"code": 502}}`)},
	{"an error as a page", "", typed("text/html", `{"error": {"code": 502}}`)},
	{"an error as a stream", "", typed(asSSE, `{"error": {"code": 502}}`)},
	{"an error in lines of JSON", "", typed(asSSE, "{\n  \"error\": {\n\"code\": 502}\n}\n")},
	{"an error behind blanks", "", typed(asJSON, "\n  \n\t\n"+`{"error": {"code": 502}}`)},
	{"an error behind a mark", "", typed(asJSON, "\ufeff"+`{"error": {"code": 502}}`)},
	{"nothing", "", typed(asJSON, "")},
	{"nothing of no type", "", typed("", "")},
	{"nothing as a stream", "", typed(asSSE, "")},
	{"blanks", "", typed(asJSON, " \n\n ")},
	{"blanks as a stream", "", typed(asSSE, "\n\n\n")},
	{"half", "", typed(asJSON, `{"choices": [{"message": {"content": "Hel`)},
	{"half of no type", "", typed("", `{"choices": [`)},
	{"half as a stream", "", typed(asSSE, `{"choices": [`)},
	{"half of a list", "", typed(asJSON, `[{"choices": []}`)},
	{"half of the first piece", googleArray, typed(asJSON, `[{"candidates": [`)},
	{"whole and half", "", typed(asJSON, `{"choices": []}{"cho`)},
	{"an error and more", "", typed("text/plain", `{"error": {"code": 502}} from upstream`)},
	{"no JSON", "", typed(asJSON, "Internal Server Error")},
	{"a page", "", typed("text/html", "<!doctype html><title>Welcome</title>")},
	{"zipped", "", zipped(asJSON, `{"error": {"code": 502}}`)},
	{"zipped half", "", zipped(asJSON, `{"choices": [`)},
	{"zipped nothing", "", zipped(asJSON, "")},
	{"events in spite of the type, cut", "", typed(asJSON, role+"\n\n")},
}

// TestBadAnswers: the next attempt gets another answer, or the caller gets an error.
func TestBadAnswers(t *testing.T) {
	good := failing(200, `{"choices": []}`)
	for _, row := range badAnswers {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: []reply{row.reply, good}}
			client := &http.Client{Transport: &llm.Transport{Base: s}}
			path := orElse(row.path, chatPath)
			resp, body, err := post(t, client, path)
			if err != nil || s.calls != 2 || resp.StatusCode != 200 || body != good.body {
				t.Errorf("%s: got %q, %v after %d calls, want %q after 2", row.name, body, err,
					s.calls, good.body)
			}
			if s.closed != s.calls {
				t.Errorf("%s: %d of %d bodies were closed", row.name, s.closed, s.calls)
			}
			s = &service{replies: []reply{row.reply}}
			resp, _, err = post(t, llmClient(s, 1), path)
			if err == nil && resp.StatusCode < 400 {
				t.Errorf("%s: got status %d, want an error", row.name, resp.StatusCode)
			}
		})
	}
}

func zipped(kind, body string) reply {
	r := typed(kind, "")
	r.header.Set("Content-Encoding", "gzip")
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(body))
	_ = w.Close()
	r.body = b.String()
	return r
}

// TestGoodAnswers are bodies that resemble those above, and reach the caller unchanged.
func TestGoodAnswers(t *testing.T) {
	for _, row := range []struct {
		name  string
		path  string
		reply reply
	}{
		{"no error", "", typed(asJSON, `{"error": null, "choices": []}`)},
		{"an empty error", "", typed(asJSON, `{"error": {}, "choices": []}`)},
		{"an error of no words", "", typed(asJSON, `{"error": "", "choices": []}`)},
		{"a quoted error", "", typed(asJSON,
			`{"choices": [{"message": {"content": "{\"error\": {\"code\": 502}}"}}]}`)},
		{"an error in a tool's call", "", typed(asJSON,
			`{"choices": [{"message": {"tool_calls": [{"error": {"code": 502}}]}}]}`)},
		{"no error in a choice", "", typed(asJSON,
			`{"choices": [{"error": null, "finish_reason": "stop"}]}`)},
		{"a response", "/v1/responses", typed(asJSON, `{"status": "completed", "error": null}`)},
		{"an incomplete response", "/v1/responses", typed(asJSON, `{"status": "incomplete"}`)},
		{"MiniMax", "", typed(asJSON, `{"base_resp": {"status_code": 0}, "choices": []}`)},
		{"success", "", typed(asJSON, `{"success": true}`)},
		{"a list", "/v1/embeddings", typed(asJSON, `[[0.1, 0.2]]`)},
		{"an empty list", "", typed(asJSON, `[]`)},
		{"an empty object", "", typed(asJSON, `{}`)},
		{"a text", "/v1/audio/transcriptions", typed("text/plain", "Hello")},
		{"silence", "/v1/audio/transcriptions", typed("text/plain", "\n")},
		{"subtitles", "/v1/audio/transcriptions", typed("text/vtt", "")},
		{"a text in braces", "/v1/audio/transcriptions", typed("text/plain", "{laughs} Hello")},
		{"sound", "/v1/audio/speech", typed("audio/mpeg", "{\x00")},
		{"lines", "/api/chat", typed(asLines, "{\"done\": false}\n{\"done\": true}\n")},
		{"lines in spite of the type", "/api/chat", typed(asJSON, "{\"done\": false}\n{}\n")},
		{"zipped", "", zipped(asJSON, `{"choices": []}`)},
		{"an answer in spite of the type", "", typed(asSSE, `{"choices": []}`)},
		{"an answer behind blanks", "", typed(asJSON, "\n\n"+`{"choices": []}`)},
		{"events in spite of the type", "", typed(asJSON, text(role, hello, done))},
		{"a comment in spite of the type", "", typed(asJSON, ": wait\n\n"+text(role, hello, done))},
		{"no generation", "/v1/files", typed(asJSON, `{"error": {"code": 502}}`)},
		{"no content", "", reply{status: 204}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: []reply{row.reply}}
			client := &http.Client{Transport: &llm.Transport{Base: s}}
			resp, body, err := post(t, client, orElse(row.path, chatPath))
			if err != nil || s.calls != 1 || body != row.reply.body ||
				resp.StatusCode != orElse(row.reply.status, 200) {
				t.Errorf("%s: got %q, %v after %d calls, want %q after 1", row.name, body, err,
					s.calls, row.reply.body)
			}
		})
	}
}

// TestAnswerStatus: an error in disguise becomes the response that it should have been.
func TestAnswerStatus(t *testing.T) {
	for body, want := range map[string]int{
		`{"error": {"code": 502}}`:                                                          502,
		`{"error": {"code": "insufficient_quota"}}`:                                         429,
		`{"status": "failed", "error": {"code": "rate_limit_exceeded"}}`:                    429,
		`{"error": {"type": "overloaded_error"}}`:                                           529,
		`{"error": "oops"}`:                                                                 500,
		`{"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}`:        429,
		`{"error_code": 17, "error_msg": "Open api daily request limit reached"}`:           429,
		`{"choices": [{"error": {"code": 503, "message": "m"}, "finish_reason": "error"}]}`: 503,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: []reply{typed(asJSON, body)}}
			resp, got, err := post(t, llmClient(s, 2), chatPath)
			if err != nil || resp.StatusCode != want || !strings.Contains(got, `"error`) {
				t.Errorf("%s: got status %d, %q, %v, want %d", body, resp.StatusCode, got, err, want)
			}
		})
	}
}

// TestStreamEnds: a stream whose choices are finished is whole without a mark, if its end is clean.
func TestStreamEnds(t *testing.T) {
	piece := func(index, reason string) string {
		return `data: {"choices": [{"index": ` + index + `, "delta": {"content": "Hi"}, ` +
			`"finish_reason": ` + reason + `}]}`
	}
	last, usage := piece("0", `"stop"`), `data: {"choices": [], "usage": {"total_tokens": 3}}`
	completion := `data: {"choices": [{"text": "Hi", "index": 0, "finish_reason": "length"}]}`
	cut := io.ErrUnexpectedEOF
	checkStreams(t, []streamRow{
		{"finished", "", []reply{stream(hello, last)}, 1, 0, text(hello, last), nil},
		{"finished, then usage", "", []reply{stream(last, usage)}, 1, 0, text(last, usage), nil},
		{"a completion", "/v1/completions", []reply{stream(completion)}, 1, 0, text(completion), nil},
		{"no empty line", "", []reply{{header: stream().header, body: hello + "\n\n" + last}}, 1, 0,
			hello + "\n\n" + last, nil},
		{"not finished", "", []reply{stream(hello, piece("0", "null"))}, 1, 0,
			text(hello, piece("0", "null")), cut},
		{"one of two finished", "", []reply{stream(piece("1", "null"), last)}, 1, 0,
			text(piece("1", "null"), last), cut},
		{"two of two finished", "", []reply{stream(piece("1", `"stop"`), last)}, 1, 0,
			text(piece("1", `"stop"`), last), nil},
		{"finished, but reset", "", []reply{stream(last).with(errReset)}, 1, 0, text(last), errReset},
	})
}

// TestStreamErrors: errors that come in the middle of a stream, in whichever form, before output.
func TestStreamErrors(t *testing.T) {
	good := stream(role, hello, done)
	for name, bad := range map[string]string{
		"an event":          `data: {"error": {"code": 502}}`,
		"bare JSON":         `{"error": {"code": 502}}`,
		"bare, in lines":    "{\n  \"error\": {\n    \"code\": 502\n  }\n}",
		"an error field":    `error: {"code": 502, "message": "m"}`,
		"an error as text":  "error: overloaded",
		"in a choice":       `data: {"choices": [{"error": {"code": 502}, "delta": {}}]}`,
		"a choice's end":    `data: {"choices": [{"delta": {}, "finish_reason": "error"}]}`,
		"beside choices":    `data: {"error": {"code": 502}, "choices": [{"delta": {}}]}`,
		"an event's name":   "event: error\ndata: oops",
		"a failed response": `data: {"type": "response.failed", "response": {"error": {}}}`,
	} {
		for _, tail := range []string{"\n\n", "\n", ""} {
			synctest.Test(t, func(t *testing.T) {
				r := reply{header: good.header, body: text(role) + bad + tail}
				s := &service{replies: []reply{r, good}}
				_, body, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
				if err != nil || s.calls != 2 || body != good.body {
					t.Errorf("%s%q: got %q, %v after %d calls, want %q after 2", name, tail, body, err,
						s.calls, good.body)
				}
				r.body = text(hello) + bad + tail // after output it reaches the caller
				s = &service{replies: []reply{r}}
				_, body, _ = post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
				if s.calls != 1 || body != r.body {
					t.Errorf("%s%q: got %q after %d calls, want %q after 1", name, tail, body,
						s.calls, r.body)
				}
			})
		}
	}
	for _, fine := range []string{
		`data: {"error": null, "choices": [{"delta": {}}]}`,
		`data: {"error": "", "choices": [{"delta": {}}]}`,
		`data: {"choices": [{"delta": {"content": "\"error\""}, "error": null}]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := stream(fine, done)
			s := &service{replies: []reply{r}}
			_, body, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
			if err != nil || body != r.body || s.calls != 1 {
				t.Errorf("%s: got %q, %v after %d calls", fine, body, err, s.calls)
			}
		})
	}
}

// TestOutputIsNotRepeated: whatever layer retries, no output comes twice.
func TestOutputIsNotRepeated(t *testing.T) {
	var out strings.Builder
	p := llm.NewPolicy()
	err := rebound.Run(t.Context(), p, func(context.Context) error {
		out.WriteString("Hello ")
		return &llm.StreamError{Err: io.ErrUnexpectedEOF, Output: true}
	})
	if out.String() != "Hello " || !errors.Is(err, rebound.AlreadyRetried) {
		t.Errorf("got %q, %v, want Hello, already retried", out.String(), err)
	}
	for _, e := range []error{
		&llm.StreamError{Event: llm.Event{Data: []byte(`{"error": {"code": 502}}`)}, Output: true},
		&llm.StreamError{Err: errReset, Output: true},
	} {
		for name, f := range map[string]fault.Fault{"Of": fault.Of(e), "Classify": llm.Classify(e)} {
			if !f.Final {
				t.Errorf("%s(%v) is not final", name, e)
			}
		}
	}
	if f := fault.Of(&llm.StreamError{Err: io.ErrUnexpectedEOF}); f.Final {
		t.Error("a stream without output is final")
	}
	if text := (&llm.StreamError{Err: (*http.MaxBytesError)(nil)}).Error(); text == "" {
		t.Error("a typed nil has no text")
	}
}

// TestEncodedErrors: a client that requests an encoding gets it for errors, too.
func TestEncodedErrors(t *testing.T) {
	quota := openai("insufficient_quota", "insufficient_quota", "")
	gz := zipped(asJSON, quota)
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(quota))
	_ = w.Close()
	for name, err := range map[string]error{
		"gzip":         response(429, gz.body, "Content-Encoding", "gzip"),
		"gzip, cut":    response(429, gz.body[:len(gz.body)-9], "Content-Encoding", "gzip"),
		"deflate":      response(429, b.String(), "Content-Encoding", "deflate"),
		"not encoded":  response(429, quota, "Content-Encoding", "gzip"),
		"with no body": response(401, "", "Content-Encoding", "gzip"),
	} {
		if f := llm.Classify(err); f.Kind != permanent || !llm.IsAccount(err) {
			t.Errorf("%s: got %v, account %v, want permanent", name, f.Kind, llm.IsAccount(err))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		gz.status = 429
		s := &service{replies: []reply{gz}}
		resp, body, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
		if err != nil || s.calls != 1 || resp.StatusCode != 429 || body != gz.body {
			t.Errorf("got %d calls, %v, want one, and the body as it came", s.calls, err)
		}
	})
}

// hanging is a service without answers.
type hanging struct{ calls int }

func (d *hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	d.calls++
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// TestHeaderTimeout: no call waits for ever.
func TestHeaderTimeout(t *testing.T) {
	for want, tr := range map[time.Duration]*llm.Transport{
		10 * time.Minute: {},
		time.Minute:      {HeaderTimeout: time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &hanging{}
			tr.Base, tr.Policy = d, &rebound.Policy{Attempts: 1}
			begin := time.Now()
			_, _, err := post(t, &http.Client{Transport: tr}, chatPath)
			if took := time.Since(begin); took != want || !fault.IsTimeout(err) ||
				!strings.Contains(err.Error(), "no header for "+want.String()) {
				t.Errorf("after %v: %v, want no header after %v", took, err, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		d := &hanging{}
		client := llm.NewClient(nil)
		client.Transport.(*llm.Transport).Base = d
		if _, _, err := post(t, client, chatPath); d.calls != 5 || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("got %d calls, %v, want 5, exhausted", d.calls, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{stream(hello, done)}}
		base := roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := s.RoundTrip(req)
			resp.Body = &obedient{ReadCloser: resp.Body, ctx: req.Context(),
				ready: time.After(time.Minute)}
			return resp, err
		})
		tr := &llm.Transport{Base: base, HeaderTimeout: time.Second}
		if _, _, err := post(t, &http.Client{Transport: tr}, chatPath); err != nil || s.calls != 1 {
			t.Errorf("a body that takes longer than a header may: %v after %d calls", err, s.calls)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://a"+chatPath, http.NoBody)
		_, err := (&llm.Transport{Base: &hanging{}}).RoundTrip(req)
		if !errors.Is(err, rebound.Canceled) {
			t.Errorf("got %v, want canceled by the caller", err)
		}
	})
}

// obedient is a body that comes late, and breaks off when its request's context ends.
type obedient struct {
	io.ReadCloser
	ctx   context.Context
	ready <-chan time.Time
}

func (o *obedient) Read(p []byte) (int, error) {
	select {
	case <-o.ready:
		o.ready = time.After(0)
		return o.ReadCloser.Read(p)
	case <-o.ctx.Done():
		return 0, o.ctx.Err()
	}
}

// TestClosedBodyEndsContext: the request's context does not outlive the body.
func TestClosedBodyEndsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		s := &service{replies: []reply{stream(role, hello, done)}}
		base := roundTrip(func(req *http.Request) (*http.Response, error) {
			ctx = req.Context()
			return s.RoundTrip(req)
		})
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://a"+chatPath, http.NoBody)
		resp, err := (&llm.Transport{Base: base}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			t.Error("the context ended before the body was read")
		}
		_ = resp.Body.Close()
		if ctx.Err() == nil {
			t.Error("the context of a closed body goes on")
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestWholeThoughLate: a body that reaches its end is whole, even if the timer has fired.
func TestWholeThoughLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Request: req, Header: http.Header{},
				Body: &late{Reader: strings.NewReader("file"), ready: time.After(time.Hour)}}, nil
		})
		client := &http.Client{Transport: &llm.Transport{Base: base}}
		if _, body, err := post(t, client, "/v1/files"); body != "file" || err != nil {
			t.Errorf("got %q, %v, want file", body, err)
		}
	})
}

// late is a stream whose output comes after the end of its attempt, which it ignores.
type late struct {
	io.Reader
	ready  <-chan time.Time // nil = at once
	closed bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.ready != nil {
		<-l.ready
		l.ready = nil
	}
	return l.Reader.Read(p)
}

func (l *late) Close() error { l.closed = true; return nil }

// TestStreamTooLate: a stream whose attempt timed out at the last moment is discarded.
func TestStreamTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []*late
		p := &rebound.Policy{Attempts: 2, AttemptTimeout: time.Second, Classify: llm.Classify}
		s := &llm.Stream{Policy: p, Open: func(context.Context, string) (io.ReadCloser, error) {
			l := &late{Reader: strings.NewReader(text(hello, done))}
			if len(opened) == 0 {
				l.ready = time.After(2 * time.Second)
			}
			opened = append(opened, l)
			return l, nil
		}}
		data, err := listen(t.Context(), s)
		if err != nil || len(data) != 2 || len(opened) != 2 || !opened[0].closed {
			t.Errorf("got %q, %v, %d streams opened, want the second one's two events", data, err,
				len(opened))
		}
	})
}
