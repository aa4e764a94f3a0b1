package reboundhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// stub answers without a network. With once set it answers 503 and 200 in turn.
type stub struct {
	once bool
	n    atomic.Int64
}

func (s *stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.n.Add(1)%2 == 1 && s.once {
		return answer(req, 503, "busy"), nil
	}
	return answer(req, 200, "ok"), nil
}

func answer(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: "", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
}

// handmade is a minimal retrying transport.
type handmade struct{ next http.RoundTripper }

func (t handmade) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if attempt == 2 || err == nil && resp.StatusCode < 500 {
			return resp, err
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
			_ = resp.Body.Close()
		}
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
	}
}

func get(c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func quick() *rebound.Policy {
	return &rebound.Policy{Backoff: backoff.Constant(0), Budget: budget.Unlimited}
}

func BenchmarkTransport(b *testing.B) {
	for _, bb := range []struct {
		name string
		base *stub
	}{
		{"ok", &stub{}},
		{"503 once", &stub{once: true}},
	} {
		for _, t := range []struct {
			name string
			wrap func(http.RoundTripper) http.RoundTripper
		}{
			{"bare", func(rt http.RoundTripper) http.RoundTripper { return rt }},
			{"handmade", func(rt http.RoundTripper) http.RoundTripper { return handmade{rt} }},
			{"rebound", func(rt http.RoundTripper) http.RoundTripper {
				return &Transport{Base: rt, Policy: quick()}
			}},
		} {
			if bb.base.once && t.name == "bare" {
				continue
			}
			b.Run(bb.name+"/"+t.name, func(b *testing.B) {
				c := &http.Client{Transport: t.wrap(bb.base)}
				b.ReportAllocs()
				for b.Loop() {
					if err := get(c, "http://example.test/"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// still answers every request with the same response.
type still struct{ resp *http.Response }

func (s still) RoundTrip(*http.Request) (*http.Response, error) { return s.resp, nil }

// TestSuccessAllocatesNothing: the Transport itself allocates nothing around a Base other than
// net/http's.
func TestSuccessAllocatesNothing(t *testing.T) {
	req := request(t, "GET", "")
	tr := &Transport{Base: still{answer(req, 200, "ok")}}
	roundTrip := func() {
		if _, err := tr.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip()
	if n := testing.AllocsPerRun(100, roundTrip); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	req := request(b, "GET", "")
	tr := &Transport{Base: still{answer(req, 200, "ok")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
