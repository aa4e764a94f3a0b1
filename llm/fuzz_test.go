package llm_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/llm"
)

// pieces is a transport that answers a body in pieces of a size.
type piecewise struct {
	kind, encoding string
	body           []byte
	size           int
}

func (p *piecewise) RoundTrip(req *http.Request) (*http.Response, error) {
	h := http.Header{}
	h.Set("Content-Type", p.kind)
	if p.encoding != "" {
		h.Set("Content-Encoding", p.encoding)
	}
	return &http.Response{StatusCode: 200, Header: h, Request: req,
		Body: io.NopCloser(&sized{bytes.NewReader(p.body), p.size})}, nil
}

// sized reads so many bytes at a time.
type sized struct {
	io.Reader
	size int
}

func (s *sized) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), s.size)]) }

var kinds = []string{asSSE, asJSON, asLines, "", "text/plain", "text/html", "audio/mpeg"}

// FuzzAnswerShapes: whatever a server sends, with any type and in any pieces, the caller gets
// exactly its bytes or an error: at the beginning, at the end, or as a status. The body decides,
// not how it is cut.
func FuzzAnswerShapes(f *testing.F) {
	for _, body := range []string{
		text(role, hello, done), text(hello), text(started, crowded), `{"choices": []}`, `{"choi`, "",
		" \n\n", `[{"error": {"code": 503}}]`, `[{"candidates": []}`, "{}\n{}\n", "error: x\n\n",
		`{"error": {"code": 502}}`, "<html>", "data", ":", "\ufeff{}", "{\n\"error\": {}\n}\n",
		`data: {"choices": [{"finish_reason": "stop"}]}`, "[", "[]", "\x1f\x8b",
	} {
		for kind := range kinds {
			f.Add([]byte(body), uint8(kind), false, uint8(7), false)
		}
	}
	f.Add([]byte(zipped(asJSON, `{"error": {"code": 502}}`).body), uint8(1), true, uint8(3), true)
	f.Fuzz(func(t *testing.T, body []byte, kind uint8, zip bool, size uint8, google bool) {
		if size == 0 {
			return
		}
		path, encoding := chatPath, ""
		if google {
			path = googleArray
		}
		if zip {
			encoding = "gzip"
		}
		send := func(size int) (int, string, error) {
			base := &piecewise{kinds[int(kind)%len(kinds)], encoding, body, size}
			tr := &llm.Transport{Base: base, Policy: &rebound.Policy{Attempts: 1}}
			req, err := http.NewRequest("POST", "http://a"+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				return 0, "", err
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			return resp.StatusCode, string(got), err
		}
		status, got, err := send(int(size))
		switch {
		case status == 200 && got != string(body):
			t.Errorf("%q: got %q, %v", body, got, err)
		case status != 200 && status != 0 && (status < 400 || status > 599 || got == ""):
			t.Errorf("%q: got status %d with %q", body, status, got)
		}
		if again, other, err2 := send(1); again != status || other != got ||
			(err2 == nil) != (err == nil) {
			t.Errorf("%q in pieces of %d: status %d, %q, %v\nbyte by byte: %d, %q, %v", body, size,
				status, got, err, again, other, err2)
		}
	})
}

// FuzzErrorBodies: an error's body always means a failure with a delay that has room for jitter.
// Without known content it is never less severe than the status. It means the same in an SDK's
// error and in a Transport's.
func FuzzErrorBodies(f *testing.F) {
	for _, q := range quotas {
		f.Add(429, q.body, "")
	}
	for _, p := range passing {
		f.Add(429, p.body, "7")
	}
	f.Add(400, openai("", "content_filter", ""), "soon")
	f.Add(403, `{"error": {"metadata": {"headers": {"Retry-After": 1e99}, "raw": "{"}}}`, "-1")
	f.Add(500, `{"choices": [{"error": {"code": 1e300}}], "base_resp": {"status_code": "x"}}`, "")
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		if status < 400 || status > 599 {
			return
		}
		err := response(status, body, "Retry-After", after)
		got := llm.Classify(err)
		if got.Err != err || got.After < 0 || got.After > 1<<62 {
			t.Errorf("%d %q: got %+v", status, body, got)
		}
		if again := llm.Classify(err); again != got {
			t.Errorf("%d %q: got %+v, then %+v", status, body, got, again)
		}
		if account := llm.IsAccount(err); account && got.Kind != permanent {
			t.Errorf("%d %q: a fault of the account is %v", status, body, got.Kind)
		}
		if strings.TrimLeft(body, " \t\r\n") == "" && got.Kind != llm.Classify(response(status, "",
			"Retry-After", after)).Kind {
			t.Errorf("%d: a blank body means %v", status, got.Kind)
		}
		_ = time.Duration(float64(got.After) * 1.25) // has room for jitter
	})
}
