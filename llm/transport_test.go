package llm_test

import (
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
	"github.com/rebound-go/rebound/reboundhttp"
)

// The beginnings and ends of streams, as the providers send them.
const (
	role  = `data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}`
	hello = `data: {"choices": [{"delta": {"content": "Hello"}}]}`
	done  = `data: [DONE]`

	started  = "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {}}"
	thinking = "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", " +
		`"delta": {"type": "thinking_delta", "thinking": "Hm."}}`
	said = "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", " +
		`"delta": {"type": "text_delta", "text": "Hello"}}`
	stopped = "event: message_stop\ndata: {\"type\": \"message_stop\"}"
	crowded = "event: error\ndata: {\"type\": \"error\", " +
		`"error": {"type": "overloaded_error", "message": "Overloaded"}}`
)

type streamRow struct {
	name    string
	path    string // "" = chatPath
	replies []reply
	calls   int
	status  int // of the response; 0 = 200
	body    string
	err     error // of reading; nil = none
}

// text is the body of a stream.
func text(events ...string) string { return stream(events...).body }

func checkStreams(t *testing.T, rows []streamRow) {
	t.Helper()
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: row.replies}
			client := &http.Client{Transport: &llm.Transport{Base: s}}
			resp, body, err := post(t, client, orElse(row.path, chatPath))
			if resp == nil {
				t.Fatalf("%s: got no response, %v", row.name, err)
			}
			if s.calls != row.calls || resp.StatusCode != orElse(row.status, 200) ||
				body != row.body || !errors.Is(err, row.err) {
				t.Errorf("%s: got %d calls, status %d, %q, %v\nwant %d calls, status %d, %q, %v",
					row.name, s.calls, resp.StatusCode, body, err,
					row.calls, orElse(row.status, 200), row.body, row.err)
			}
			if s.closed != s.calls {
				t.Errorf("%s: %d of %d bodies were closed", row.name, s.closed, s.calls)
			}
		})
	}
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

func TestStreamsBeforeOutput(t *testing.T) {
	good := stream(role, hello, done)
	claude := stream(started, thinking, said, stopped)
	const messages = "/v1/messages"
	checkStreams(t, []streamRow{
		{"good", "", []reply{good}, 1, 0, good.body, nil},
		{"cut at once", "", []reply{{header: good.header}, good}, 2, 0, good.body, nil},
		{"cut after the role", "", []reply{stream(role), good}, 2, 0, good.body, nil},
		{"cut in the middle of an event", "", []reply{
			{header: good.header, body: role + "\n\n" + hello[:20]}, good}, 2, 0, good.body, nil},
		{"reset", "", []reply{stream(role).with(errReset), good}, 2, 0, good.body, nil},
		{"silence", "", []reply{stream(role).with(errHang), good}, 2, 0, good.body, nil},
		{"thoughts may be taken back", messages, []reply{
			stream(started, thinking).with(errReset), claude}, 2, 0, claude.body, nil},
		{"overload in the stream", messages, []reply{stream(started, crowded), claude}, 2, 0,
			claude.body, nil},
		{"overload in the stream, of chat", "", []reply{
			stream(role, `data: {"error": {"code": "server_is_overloaded"}}`), good}, 2, 0,
			good.body, nil},
		{"no output, but an end", "", []reply{stream(role, done)}, 1, 0, text(role, done), nil},
		{"a status first", "", []reply{failing(503, ""), stream(role), good}, 3, 0, good.body, nil},
	})
}

func TestStreamsThatStayBad(t *testing.T) {
	quota := `{"error": {"code": "insufficient_quota"}}`
	const inner = `{"type":"error","error":{"type":"overloaded_error"}}`
	checkStreams(t, []streamRow{
		{"overload becomes a status", "/v1/messages",
			[]reply{stream(started, "event: error\ndata: "+inner)}, 5, 529, inner, nil},
		{"quota is an error at once", "", []reply{stream(role, "data: "+quota)}, 1, 429, quota, nil},
		{"response.failed", "/v1/responses", []reply{stream("event: response.failed\ndata: " +
			`{"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}`)},
			1, 400, `{"error":{"code":"invalid_prompt"}}`, nil},
		{"error event of responses", "/v1/responses",
			[]reply{stream("event: error\ndata: {\"type\":\"error\",\"code\":\"invalid_prompt\"}")},
			1, 400, `{"error":{"type":"error","code":"invalid_prompt"}}`, nil},
		{"error in no JSON", "", []reply{stream("event: error\ndata: oops")}, 5, 500,
			`{"error":{"message":"oops"}}`, nil},
	})
}

func TestStreamsAfterOutput(t *testing.T) {
	gemini := `data: {"candidates": [{"content": {"parts": [{"text": "Hello"}]}}]}`
	finish := `data: {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]}`
	const generate = "/v1beta/models/gemini:streamGenerateContent"
	cut := io.ErrUnexpectedEOF
	checkStreams(t, []streamRow{
		{"cut", "", []reply{stream(role, hello)}, 1, 0, text(role, hello), cut},
		{"cut, of Anthropic", "/v1/messages", []reply{stream(started, said)}, 1, 0,
			text(started, said), cut},
		{"cut, of Google", generate, []reply{stream(gemini)}, 1, 0, text(gemini), cut},
		{"whole, of Google", generate, []reply{stream(gemini, finish)}, 1, 0,
			text(gemini, finish), nil},
		{"no empty line at the end", "", []reply{{header: stream().header,
			body: hello + "\n\n" + done}}, 1, 0, hello + "\n\n" + done, nil},
		{"cut in the end mark", "/v1/messages", []reply{{header: stream().header,
			body: said + "\n\n" + stopped[:40]}}, 1, 0, said + "\n\n" + stopped[:40], cut},
		{"reset", "", []reply{stream(hello).with(errReset)}, 1, 0, text(hello), errReset},
		{"silence", "", []reply{stream(hello).with(errHang)}, 1, 0, text(hello),
			context.DeadlineExceeded},
		{"an error reaches the caller as it is", "/v1/messages",
			[]reply{stream(said, crowded)}, 1, 0, text(said, crowded), nil},
		{"what follows the end does not matter", "",
			[]reply{stream(hello, done).with(errReset)}, 1, 0, text(hello, done), nil},
		{"an unknown stream is output at once", "", []reply{stream("data: what", "data: ever")},
			1, 0, text("data: what", "data: ever"), cut},
	})
}

func TestStreamsNotWatched(t *testing.T) {
	sse := http.Header{"Content-Type": {"text/event-stream"}}
	zipped := http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": {"br"}}
	checkStreams(t, []streamRow{
		{"no generation", "/v1/events", []reply{{header: sse, body: hello}}, 1, 0, hello, nil},
		{"no events", "", []reply{{header: http.Header{}, body: hello}}, 1, 0, hello, nil},
		{"encoded", "", []reply{{header: zipped, body: hello}}, 1, 0, hello, nil},
	})
}

func TestWholeAnswers(t *testing.T) {
	good := failing(200, `{"choices": []}`)
	big := `{"choices": [], "padding": "` + strings.Repeat("x", 5<<20) + `"}`
	checkStreams(t, []streamRow{
		{"good", "", []reply{good}, 1, 0, good.body, nil},
		{"cut", "", []reply{failing(200, `{"cho`).with(io.ErrUnexpectedEOF), good}, 2, 0,
			good.body, nil},
		{"silence", "", []reply{failing(200, `{"cho`).with(errHang), good}, 2, 0, good.body, nil},
		{"large", "", []reply{failing(200, big)}, 1, 0, big, nil},
		{"large and cut", "", []reply{failing(200, big).with(errReset)}, 1, 0, big, errReset},
		{"no generation", "/v1/files", []reply{failing(200, `{"cho`).with(errReset)}, 1, 0,
			`{"cho`, errReset},
	})
}

func TestStreamError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{stream(hello)}}
		_, _, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
		var broken *llm.StreamError
		if !errors.As(err, &broken) || !broken.Output {
			t.Fatalf("got %v, want a StreamError with Output", err)
		}
		f := llm.Classify(err)
		if f.Kind != fault.Transient || f.Sent != fault.MaybeDone || f.Detail != "stream cut" {
			t.Errorf("got %v, %v, %q, want transient, maybe_done, stream cut",
				f.Kind, f.Sent, f.Detail)
		}

		s = &service{replies: []reply{stream(role)}}
		_, _, err = post(t, llmClient(s, 2), chatPath)
		if !errors.As(err, &broken) || broken.Output || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("got %v, want a StreamError without Output, exhausted", err)
		}
	})
	for want, e := range map[string]*llm.StreamError{
		"llm: the stream ended without its end mark: unexpected EOF": {Err: io.ErrUnexpectedEOF},
		"llm: the stream, after output, broke: " + errReset.Error(): {
			Err: errReset, Output: true},
		`llm: the stream ended with an error: {"error": 1}`: {
			Event: llm.Event{Data: []byte(`{"error": 1}`)}},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	long := &llm.StreamError{Event: llm.Event{Data: []byte(strings.Repeat("x", 1000))}}
	if n := len(long.Error()); n > 300 {
		t.Errorf("an error has %d bytes, want at most 300", n)
	}
}

func llmClient(base http.RoundTripper, attempts int) *http.Client {
	p := llm.NewPolicy()
	p.Attempts = attempts
	return &http.Client{Transport: &llm.Transport{Base: base, Policy: p}}
}

// A response that an SDK must not retry has the header, and others do not.
func TestShouldRetry(t *testing.T) {
	for _, row := range []struct {
		name  string
		path  string
		reply reply
		calls int
		want  string
	}{
		{"good", chatPath, stream(hello, done), 1, ""},
		{"repeated", chatPath, failing(500, ""), 3, "false"},
		{"not worth it", chatPath, failing(429, openai("", "insufficient_quota", "")), 1, "false"},
		{"wait too long", chatPath, failing(429, "", "Retry-After", "300"), 1, "false"},
		{"must not", "/v1/batches", failing(500, ""), 1, ""},
		{"server's own word", chatPath, failing(500, "", "X-Should-Retry", "false"), 1, "false"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: []reply{row.reply}}
			resp, _, err := post(t, llmClient(s, 0), row.path)
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			if got := resp.Header.Get("X-Should-Retry"); got != row.want || s.calls != row.calls {
				t.Errorf("%s: got %q after %d calls, want %q after %d",
					row.name, got, s.calls, row.want, row.calls)
			}
		})
	}
}

// A request that an SDK repeats is sent once, not as often as a new request.
func TestStainlessRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{stream(role).with(errReset)}}
		client := llmClient(s, 3)
		for i, want := range []int{3, 4, 5} {
			req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://a"+chatPath,
				http.NoBody)
			req.Header.Set("X-Stainless-Retry-Count", string(rune('0'+i)))
			if _, err := client.Do(req); !errors.Is(err, errReset) {
				t.Errorf("try %d: got %v, want %v", i, err, errReset)
			}
			if s.calls != want {
				t.Errorf("try %d: got %d calls, want %d", i, s.calls, want)
			}
		}
	})
}

// The waits of the preset, for a reset and for an overload.
func TestWaits(t *testing.T) {
	for _, row := range []struct {
		name     string
		reply    reply
		min, max time.Duration
	}{
		{"reset", stream(role).with(errReset), 3750 * time.Millisecond, 11250 * time.Millisecond},
		{"overload", stream(started, crowded), 30 * time.Second, 90 * time.Second},
		// 40 to 50 s each; the last backoff, 16 to 48 s, may be longer than what is asked for.
		{"asked", failing(503, "", "Retry-After", "40"), 160 * time.Second, 208 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{replies: []reply{row.reply, row.reply, row.reply, row.reply,
				stream(hello, done)}}
			begin := time.Now()
			resp, _, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, chatPath)
			if err != nil || s.calls != 5 {
				t.Fatalf("%s: got %d calls, %v, want 5", row.name, s.calls, err)
			}
			if got := time.Since(begin); got < row.min || got > row.max {
				t.Errorf("%s: took %v, want %v to %v", row.name, got, row.min, row.max)
			}
			if n := reboundhttp.CallOf(resp).Attempts; n != 5 {
				t.Errorf("%s: CallOf has %d attempts, want 5", row.name, n)
			}
		})
	}
}

func TestTransportLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{stream(role).with(errHang), stream(hello, done)}}
		client := &http.Client{Transport: &llm.Transport{Base: s, FirstOutputTimeout: time.Second}}
		begin := time.Now()
		if _, _, err := post(t, client, chatPath); err != nil || s.calls != 2 {
			t.Errorf("got %d calls, %v, want 2", s.calls, err)
		}
		if got := time.Since(begin); got > 2*time.Second {
			t.Errorf("took %v, want less than 2s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{failing(200, "{").with(errHang)}}
		_, _, err := post(t, &http.Client{Transport: &llm.Transport{Base: s}}, "/v1/files")
		if !fault.IsTimeout(err) || !strings.Contains(err.Error(), "no data for 5m0s") {
			t.Errorf("a body that hangs: got %v, want no data for 5m0s", err)
		}
	})
}

func TestTransportWholeStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{stream(role, hello), stream(role, hello, done)}}
		tr := &llm.Transport{Base: s, Output: func(llm.Event) bool { return false }}
		_, body, err := post(t, &http.Client{Transport: tr}, chatPath)
		if want := text(role, hello, done); body != want || err != nil || s.calls != 2 {
			t.Errorf("got %q, %v after %d calls, want %q after 2", body, err, s.calls, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		long := "data: " + strings.Repeat("x", 5<<20)
		s := &service{replies: []reply{stream(long)}}
		tr := &llm.Transport{Base: s, Output: func(llm.Event) bool { return false }}
		_, body, err := post(t, &http.Client{Transport: tr}, chatPath)
		if body != text(long) || !errors.Is(err, io.ErrUnexpectedEOF) || s.calls != 1 {
			t.Errorf("got %d bytes, %v after %d calls, want %d, cut after 1",
				len(body), err, s.calls, len(text(long)))
		}
	})
}

func TestTransportInvalid(t *testing.T) {
	for want, tr := range map[string]*llm.Transport{
		"IdleTimeout":        {IdleTimeout: -1},
		"FirstOutputTimeout": {FirstOutputTimeout: -1},
		"HeaderTimeout":      {HeaderTimeout: -1},
		"Attempts":           {Policy: &rebound.Policy{Attempts: -7}},
	} {
		s := &service{replies: []reply{stream(hello, done)}}
		tr.Base = s
		_, _, err := post(t, &http.Client{Transport: tr}, chatPath)
		if !errors.Is(err, rebound.Invalid) || !strings.Contains(err.Error(), want) || s.calls != 0 {
			t.Errorf("got %v after %d calls, want invalid %s and no call", err, s.calls, want)
		}
	}
}

func TestGeneration(t *testing.T) {
	for path, want := range map[string]bool{
		"/v1/chat/completions":                                   true,
		"/openai/deployments/gpt/chat/completions":               true,
		"/v1/responses":                                          true,
		"/v1/responses/r1/cancel":                                false,
		"/v1/messages":                                           true,
		"/v1/messages/":                                          true,
		"/v1/messages/batches":                                   false,
		"/v1/threads/t1/messages":                                false,
		"/v1beta/models/g:generateContent":                       true,
		"/v1beta/models/g:batchGenerateContent":                  false,
		"/v1beta/models/g:predictLongRunning":                    false,
		"/model/anthropic.claude/converse-stream":                true,
		"/model/anthropic.claude/invoke":                         true,
		"/model/arn:aws:bedrock:eu:1:inference-profile/p/invoke": true,
		"/bedrock/model/m/invoke-with-response-stream":           true,
		"/model/invoke":                                          false,
		"/model/m/agents/a/invoke":                               false,
		"/v1/agents/a/invoke":                                    false,
		"/converse":                                              false,
		"/openai/responses":                                      true,
		"/openai/v1/responses":                                   true,
		"/api/projects/p/openai/v1/responses":                    true,
		"/openai/deployments/gpt/responses":                      true,
		"/surveys/7/responses":                                   false,
		"/responses":                                             false,
		"/async-invoke":                                          false,
		"/v1/files":                                              false,
		"/v1/projects/p/publishers/anthropic/m:rawPredict":       true,
	} {
		req, _ := http.NewRequest("POST", "http://a"+path, http.NoBody)
		if got := llm.IsGeneration(req); got != want {
			t.Errorf("%s: got %t, want %t", path, got, want)
		}
		req.Method = "GET"
		if llm.IsGeneration(req) {
			t.Errorf("GET %s is a generation", path)
		}
	}
}

type closer struct {
	service
	closes int
}

func (c *closer) CloseIdleConnections() { c.closes++ }

// A 421 applies to its connection, so the next attempt needs another.
func TestMisdirected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &closer{service: service{replies: []reply{failing(421, ""), stream(hello, done)}}}
		resp, _, err := post(t, &http.Client{Transport: &llm.Transport{Base: c}}, chatPath)
		if err != nil || resp.StatusCode != 200 || c.closes != 1 {
			t.Errorf("got %v, idle connections closed %d times, want 200, once", err, c.closes)
		}
	})
}

// A policy for one request is treated like the Transport's own, and an SDK's retry gets a single
// attempt under it.
func TestTransportRequestPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quota := failing(429, `{"error": {"code": "insufficient_quota"}}`)
		for _, row := range []struct {
			name  string
			reply reply
			count string
			p     *rebound.Policy
			calls int
		}{
			{"quota", quota, "", &rebound.Policy{}, 1},
			{"quota, nil", quota, "", nil, 1},
			{"busy", failing(503, ""), "0", &rebound.Policy{Attempts: 2}, 2},
			{"repeated", failing(503, ""), "1", &rebound.Policy{Attempts: 2}, 1},
			{"repeated, nil", failing(503, ""), "1", nil, 1},
			{"own", quota, "", &rebound.Policy{Classify: fault.Of}, 3},
		} {
			s := &service{replies: []reply{row.reply}}
			var seen int
			if row.p != nil {
				row.p.Observe = func(context.Context, rebound.Event) { seen++ }
			}
			ctx := reboundhttp.WithPolicy(t.Context(), row.p)
			req, _ := http.NewRequestWithContext(ctx, "POST", "http://a"+chatPath, http.NoBody)
			req.Header.Set("X-Stainless-Retry-Count", row.count)
			resp, err := (&llm.Transport{Base: s}).RoundTrip(req)
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			_ = resp.Body.Close()
			if s.calls != row.calls || (seen > 0) != (row.p != nil) {
				t.Errorf("%s: got %d calls, %d events seen, want %d, seen by the request's policy",
					row.name, s.calls, seen, row.calls)
			}
		}
	})
}

// Without alt=sse, Google streams an array in JSON, piece by piece.
func TestTransportArrayStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{replies: []reply{failing(200, `[{"candidates": []}`).with(errHang)}}
		client := &http.Client{Transport: &llm.Transport{Base: s}}
		begin := time.Now()
		resp, err := client.Post("http://a/v1beta/models/g:streamGenerateContent", "", http.NoBody)
		if err != nil {
			t.Fatalf("got %v after %v, want the response at once", err, time.Since(begin))
		}
		defer func() { _ = resp.Body.Close() }()
		piece := make([]byte, 7)
		if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != `[{"cand` {
			t.Errorf("got %q, %v, want the first piece", piece, err)
		}
	})
}

// Each of Google's candidates ends by itself, and the stream ends with the last one.
func TestStreamsOfCandidates(t *testing.T) {
	const generate = "/v1beta/models/gemini:streamGenerateContent"
	part := func(index, more string) string {
		return `data: {"candidates": [{"content": {"parts": [{"text": "Hi"}]}` + more +
			`, "index": ` + index + `}]}`
	}
	const stop = `, "finishReason": "STOP"`
	first, second := part("0", stop), part("1", "")
	last, usage := part("1", stop), `data: {"usageMetadata": {"totalTokenCount": 3}}`
	failure := `data: {"error": {"code": 503, "status": "UNAVAILABLE"}}`
	cut := io.ErrUnexpectedEOF
	checkStreams(t, []streamRow{
		{"whole", generate, []reply{stream(first, second, last, usage)}, 1, 0,
			text(first, second, last, usage), nil},
		{"cut in the second", generate, []reply{stream(first, second)}, 1, 0,
			text(first, second), cut},
		{"cut in the first", generate, []reply{stream(part("0", ""), last)}, 1, 0,
			text(part("0", ""), last), cut},
		{"an event after a candidate's last", generate, []reply{stream(last, part("1", ""))}, 1, 0,
			text(last, part("1", "")), nil},
		{"a reset after the last", generate, []reply{stream(last).with(errReset)}, 1, 0,
			text(last), nil},
		{"a reset between", generate, []reply{stream(second, first).with(errReset)}, 1, 0,
			text(second, first), errReset},
	})
	for _, row := range []struct {
		events []string
		given  int
		broken bool
	}{
		{[]string{first, second, last, usage}, 4, false},
		{[]string{first, second}, 2, true},
		{[]string{first, failure}, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			data, err := listen(t.Context(), &llm.Stream{Open: open(stream(row.events...)).open})
			var broken *llm.StreamError
			if len(data) != row.given || errors.As(err, &broken) != row.broken {
				t.Errorf("%d events: got %d, %v, want %d, broken: %t",
					len(row.events), len(data), err, row.given, row.broken)
			}
		})
	}
}
