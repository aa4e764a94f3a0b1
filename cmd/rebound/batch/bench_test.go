package batch

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// at200 answers each request at once, without a connection.
type at200 struct{ header http.Header }

const reply = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":` +
	`[{"index":0,"message":{"role":"assistant","content":"A lunch for two, and a coffee."},` +
	`"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":9,"total_tokens":69}}`

func (a at200) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	_ = req.Body.Close()
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Request: req, ContentLength: int64(len(reply)),
		Body: io.NopCloser(bytes.NewReader([]byte(reply)))}, nil
}

// BenchmarkRow measures what a row costs beside its request: reading, checking, marking and storing
// it, and the policy.
func BenchmarkRow(b *testing.B) {
	dir := b.TempDir()
	base, _ := url.Parse("http://localhost:1")
	o := Options{Input: filepath.Join(dir, "in.jsonl"), Output: filepath.Join(dir, "out.jsonl"),
		Base: base, Crash: true, MaxInFlight: 64, Stdout: io.Discard, First: -1,
		Transport: at200{http.Header{"Content-Type": {"application/json"}}}}
	f, err := os.Create(o.Input)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	question := strings.Repeat("What is in this receipt, please? ", 6)
	for i := range b.N {
		fmt.Fprintf(w, `{"custom_id":"row-%d","url":"/v1/chat/completions","body":{"model":"m",`+
			`"max_tokens":100,"messages":[{"role":"user","content":%q}]}}`+"\n", i, question)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	_ = f.Close()
	b.ReportAllocs()
	b.ResetTimer()
	s, code, err := Run(b.Context(), o)
	if err != nil || code != 0 || s.Done != b.N {
		b.Fatalf("%v, %d, %+v", err, code, s)
	}
}
