package llm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
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
		status := 0
		if _, err := fmt.Sscanf(answer, "%d", &status); err == nil {
			w.WriteHeader(status)
			_, answer, _ = strings.Cut(answer, " ")
		} else {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, answer)
	}))
}

const (
	crowdedReply = `529 {"type": "error", "error": {"type": "overloaded_error"}}`
	quotaReply   = `429 {"error": {"code": "insufficient_quota", "message": "You exceeded it."}}`
	goodReply    = `200 {"choices": [{"message": {"content": "Hello!"}}]}`
	goodStream   = `data: {"choices": [{"delta": {"content": "Hello"}}]}

data: {"choices": [{"delta": {"content": "!"}}]}

data: [DONE]

`
	cutStream = `data: {"choices": [{"delta": {"role": "assistant"}}]}

`
)

// ask asks a model by hand, without an SDK.
func ask(ctx context.Context, client *http.Client, url string) (string, error) {
	body := strings.NewReader(`{"messages": [{"role": "user", "content": "Hi"}]}`)
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/chat/completions", body)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &reboundhttp.StatusError{Response: resp, Body: text}
	}
	if err != nil {
		return "", err
	}
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, nil
}

func ExampleNewClient() {
	srv := play(crowdedReply, "503 busy", goodReply)
	defer srv.Close()

	client := llm.NewClient(quick())
	resp, err := client.Post(srv.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"messages": [{"role": "user", "content": "Hi"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", reboundhttp.CallOf(resp).Attempts, "attempts")
	// Output: 200 OK after 3 attempts
}

// A quota that is used up comes with the same status as a limit that is over in a second.
func ExampleClassify() {
	srv := play(quotaReply)
	defer srv.Close()

	_, err := ask(context.Background(), http.DefaultClient, srv.URL)
	f := llm.Classify(err)
	fmt.Println(f.Kind, "by", f.Detail)
	// Output: permanent by code insufficient_quota
}

func ExampleNewPolicy() {
	p := llm.NewPolicy()
	p.Name = "summaries"
	p.MaxElapsed = 5 * time.Minute
	fmt.Println(p.Name, p.Attempts, p.Schedule(p.Attempts-1))
	// Output: summaries 5 [500ms 1s 2s 4s]
}

func ExampleTransport() {
	srv := play(cutStream, goodStream)
	defer srv.Close()

	client := &http.Client{Transport: &llm.Transport{
		Policy:             quick(),
		FirstOutputTimeout: 30 * time.Second,
		IdleTimeout:        time.Minute,
	}}
	resp, err := client.Post(srv.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"stream": true}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	fmt.Println(lines.Err(), "after", reboundhttp.CallOf(resp).Attempts, "attempts")
	// Output:
	// data: {"choices": [{"delta": {"content": "Hello"}}]}
	//
	// data: {"choices": [{"delta": {"content": "!"}}]}
	//
	// data: [DONE]
	//
	// <nil> after 2 attempts
}

func ExampleStream() {
	srv := play(cutStream, goodStream)
	defer srv.Close()

	s := &llm.Stream{
		Policy: quick(),
		Open: func(ctx context.Context, _ string) (io.ReadCloser, error) {
			req, err := http.NewRequestWithContext(ctx, "POST", srv.URL, http.NoBody)
			if err != nil {
				return nil, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return nil, err
			}
			if resp.StatusCode != http.StatusOK {
				_ = resp.Body.Close()
				return nil, &reboundhttp.StatusError{Response: resp}
			}
			return resp.Body, nil
		},
	}
	for e, err := range s.Events(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", e.Data)
	}
	// Output:
	// {"choices": [{"delta": {"content": "Hello"}}]}
	// {"choices": [{"delta": {"content": "!"}}]}
	// [DONE]
}

// A stream that ends without its mark was cut. No SDK returns an error for that.
func ExampleStreamError() {
	srv := play(strings.TrimSuffix(goodStream, "data: [DONE]\n\n"))
	defer srv.Close()

	client := llm.NewClient(nil)
	resp, err := client.Post(srv.URL+"/v1/chat/completions", "application/json", http.NoBody)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	fmt.Println(err)

	var broken *llm.StreamError
	if errors.As(err, &broken) && broken.Output {
		fmt.Println("the user has seen a part of the answer")
	}
	// Output:
	// llm: the stream, after output, ended without its end mark: unexpected EOF
	// the user has seen a part of the answer
}

func ExampleFallback() {
	large, small := play(crowdedReply), play(goodReply)
	defer large.Close()
	defer small.Close()

	client := llm.NewClient(nil)
	models := []string{large.URL, small.URL}
	answer, err := llm.Fallback(context.Background(), quick(), models,
		func(ctx context.Context, url string) (string, error) {
			return ask(ctx, client, url)
		})
	fmt.Println(answer, err)
	// Output: Hello! <nil>
}

// Requests to other endpoints are repeated, too, if Idempotent allows it.
func ExampleIsGeneration() {
	t := &llm.Transport{
		Idempotent: func(r *http.Request) bool {
			return llm.IsGeneration(r) || strings.HasSuffix(r.URL.Path, "/v1/rank")
		},
	}
	fmt.Println(t.Validate())
	// Output: <nil>
}

func ExampleIsOutput() {
	for _, data := range []string{
		`{"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm."}}`,
		`{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}}`,
	} {
		fmt.Println(llm.IsOutput(llm.Event{Data: []byte(data)}))
	}
	// Output:
	// false
	// true
}

func ExampleIsEnd() {
	for _, data := range []string{`{"type": "message_stop"}`, `{"type": "message_delta"}`, `[DONE]`} {
		fmt.Println(llm.IsEnd(llm.Event{Data: []byte(data)}))
	}
	// Output:
	// true
	// false
	// true
}

// Workers share a quota of two requests per second. The third waits, and none is rejected.
func ExampleQuota() {
	srv := play(goodReply)
	defer srv.Close()
	client := &http.Client{Transport: &llm.Transport{Quota: &llm.Quota{Requests: 120}}}
	begin := time.Now()
	for range 3 {
		resp, err := client.Post(srv.URL+"/v1/chat/completions", "application/json",
			strings.NewReader(`{"model": "small", "max_tokens": 100}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	fmt.Println("half a second has passed:", time.Since(begin) > 400*time.Millisecond)
	// Output: half a second has passed: true
}
