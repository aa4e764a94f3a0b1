package llm_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rebound-go/rebound/llm"
)

// taken sends a request, and returns the tokens that it took from the quota in the end.
func taken(t *testing.T, req *http.Request, r reply) (tokens float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Tokens: 1e9}
		client := &http.Client{Transport: &llm.Transport{
			Base: &service{replies: []reply{r}}, Quota: q,
		}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		for s := range q.Snapshots() {
			if strings.HasSuffix(s.Name, "tokens") {
				tokens = 1e9 - s.Level
			}
		}
	})
	return tokens
}

func request(path, body string) *http.Request {
	req, err := http.NewRequest("POST", "http://llm.example"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	return req
}

func TestEstimate(t *testing.T) {
	picture := strings.Repeat("iVBORw0KGgo+/", 2000)
	for _, row := range []struct {
		name, path, body string
		want             float64
	}{
		{"empty", chatPath, ``, 0},
		{"no JSON", chatPath, strings.Repeat("x ", 50), 25},
		{"prompt", chatPath, `{"messages":"` + strings.Repeat("word ", 17) + `"}`, 25},
		{"max_tokens", chatPath, `{"max_tokens":100}`, 105},
		{"max_completion_tokens", chatPath, `{"max_completion_tokens":100}`, 108},
		{"max_output_tokens", "/v1/responses", `{"max_output_tokens":100}`, 107},
		{"several answers", chatPath, `{"max_tokens":100, "n": 3}`, 307},
		{"Google", gemini, `{"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}`, 216},
		{"Bedrock", "/model/m/converse", `{"inferenceConfig":{"maxTokens":100}}`, 110},
		{"Ollama", "/api/chat", `{"options":{"num_predict":100}}`, 108},
		{"another type", chatPath, `{"model":7,"max_tokens":100}`, 107},
		{"a picture", chatPath, `{"url":"data:image/png;base64,` + picture + `"}`, 1008},
		{"two pictures", chatPath, `["` + picture + `","` + picture + `"]`, 2002},
		{"a long word", chatPath, `"` + strings.Repeat("a", 2000) + `"`, 501},
	} {
		req := request(row.path, row.body)
		// Tokens are whole nanoseconds apart.
		if got := taken(t, req, answer(`{}`)); got < row.want-0.1 || got > row.want+0.1 {
			t.Errorf("%s: got %v tokens, want %v", row.name, got, row.want)
		}
	}
	unknown := request(chatPath, `{"max_tokens":100}`)
	unknown.GetBody, unknown.ContentLength = nil, 400
	if got := taken(t, unknown, answer(`{}`)); got < 99 || got > 101 {
		t.Errorf("without GetBody: got %v tokens, want 100", got)
	}
}

func TestUsage(t *testing.T) {
	for _, row := range []struct {
		name, path string
		reply      reply
		want       float64
	}{
		{"none", chatPath, answer(`{"choices":[]}`), 5},
		{"null", chatPath, answer(`{"usage":null}`), 5},
		{"another type", chatPath, answer(`{"usage":"17"}`), 5},
		{"OpenAI", chatPath, answer(`{"usage":{"prompt_tokens":7,"completion_tokens":10,
			"total_tokens":17,"prompt_tokens_details":{"cached_tokens":5}}}`), 17},
		{"without a total", chatPath, answer(`{"usage":{"prompt_tokens":7,"completion_tokens":10}}`),
			17},
		{"OpenAI's responses, stream", "/v1/responses", stream(`data: {"type":`+
			`"response.output_text.delta","delta":"Hi"}`, `data: {"type":"response.completed",`+
			`"response":{"usage":{"input_tokens":7,"output_tokens":10,"total_tokens":17}}}`), 17},
		{"Anthropic, cached", "/v1/messages", answer(`{"usage":{"input_tokens":3,
			"cache_creation_input_tokens":4,"cache_read_input_tokens":1000,"output_tokens":10}}`), 17},
		{"Google", gemini, answer(`[{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":4,
			"thoughtsTokenCount":6}}]`), 17},
		{"Google, events", gemini, stream(`data: {"candidates":[{"content":{"parts":[{"text":"a"}]}`+
			`}],"usageMetadata":{"promptTokenCount":7,"totalTokenCount":9}}`, `data: {"candidates":[{`+
			`"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"totalTokenCount":17}}`), 17},
		{"Bedrock", "/model/m/converse", answer(`{"usage":{"inputTokens":7,"outputTokens":10,
			"totalTokens":17}}`), 17},
		{"Cohere", "/v2/chat", answer(`{"usage":{"tokens":{"input_tokens":7,"output_tokens":10}}}`),
			17},
		{"Cohere, old", "/v1/chat", answer(`{"meta":{"tokens":{"input_tokens":7,"output_tokens":10}}}`),
			17},
		{"Ollama", "/api/generate", answer(`{"prompt_eval_count":7,"eval_count":10}`), 17},
		{"Ollama, lines", "/api/generate", reply{header: http.Header{
			"Content-Type": {"application/x-ndjson"}}, body: "{\"response\":\"a\"}\n" +
			`{"done":true,"prompt_eval_count":7,"eval_count":10}` + "\n"}, 17},
		{"long lines", "/api/generate", reply{header: http.Header{
			"Content-Type": {"application/x-ndjson"}}, body: strings.Repeat("{\"response\":\"a\"}\n",
			10_000) + `{"done":true,"prompt_eval_count":7,"eval_count":10}`}, 17},
	} {
		if got := taken(t, request(row.path, `{"model":"any model"}`), row.reply); got < row.want-1.1 ||
			got > row.want+1.1 {
			t.Errorf("%s: got %v tokens, want %v", row.name, got, row.want)
		}
	}
}

// Streams that are closed early, or read by many at once, settle once each.
func TestQuotaHammer(t *testing.T) {
	q := &llm.Quota{Tokens: 1e9}
	client := &http.Client{Transport: &llm.Transport{Quota: q, Base: &service{replies: []reply{
		stream(role, hello, `data: {"choices":[],"usage":{"total_tokens":1000}}`, done)}}}}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				body := fmt.Sprintf(`{"model":"m%d","max_tokens":5000}`, i%3)
				resp, err := client.Do(request(chatPath, body))
				if err != nil {
					t.Error(err)
					return
				}
				wg.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
				if g%2 == 0 {
					_ = resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	for s := range q.Snapshots() {
		if s.Waiting != 0 || strings.HasSuffix(s.Name, "tokens") && s.Level < 1e9-6000*400 {
			t.Errorf("got %+v, want nothing waiting and at most 6000 a call taken", s)
		}
	}
}
