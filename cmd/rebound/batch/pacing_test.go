package batch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// recorder is a Pacer that records its calls.
type recorder struct{ notes []string }

func (r *recorder) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *recorder) Take(_ context.Context, name string, tokens int) (int, error) {
	r.note("take %s %d", name, tokens)
	return min(tokens, 60), nil
}

func (r *recorder) Settle(name string, requests, tokens int) {
	r.note("settle %s %d %d", name, requests, tokens)
}

func (r *recorder) Pause(name string, d time.Duration) { r.note("pause %s %v", name, d) }

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// A Pacer gets the tokens that the server did not count, those beyond the estimate, and the
// Retry-After delays.
func TestPacing(t *testing.T) {
	const used = `{"choices":[{}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`
	for _, c := range []struct {
		name  string
		row   string
		first func(*http.Request) (*http.Response, error)
		want  []string
	}{
		{"answered", `"body":{"model":"m","max_tokens":100}`, nil,
			[]string{"take m 108", "settle m 0 -48"}},
		{"no model", `"tokens":20`, nil, []string{"take api.example 20", "settle api.example 0 -8"}},
		{"refused", `"tokens":20,"body":{"model":"m"}`, answering(429, "Retry-After", "3"),
			[]string{"take m 20", "settle m 0 -20", "pause m 3s", "take m 20", "settle m 0 -8"}},
		{"refused for an hour", `"tokens":20`, answering(429, "Retry-After", "3600"),
			[]string{"take api.example 20", "settle api.example 0 -20"}},
		{"failed", `"tokens":20,"body":{"model":"m"}`, answering(500, "", ""),
			[]string{"take m 20", "take m 20", "settle m 0 -8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := c.first
				next := answering(200, "", "")
				var pace recorder
				s, err := NewShared(Options{Base: &url.URL{Scheme: "https", Host: "api.example"},
					Transport: trip(func(req *http.Request) (*http.Response, error) {
						do := next
						if first != nil {
							do, first = first, nil
						}
						resp, err := do(req)
						if err == nil && resp.StatusCode == 200 {
							resp.Body = io.NopCloser(strings.NewReader(used))
						}
						return resp, err
					})}, func(context.Context, store.Row, money.Amount) error { return nil }, &pace)
				if err != nil {
					t.Fatal(err)
				}
				row, err := s.Parse([]byte(`{"custom_id":"a","url":"/v1/chat/completions",` + c.row + `}`))
				if err != nil {
					t.Fatal(err)
				}
				s.Serve(t.Context(), func(_, calls context.Context) {
					s.Round(calls, queue.Job{Row: row})
				})
				if !slices.Equal(pace.notes, c.want) {
					t.Errorf("got %q, want %q", pace.notes, c.want)
				}
			})
		})
	}
}

// answering answers with a status and a header.
func answering(status int, name, value string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Request: req,
			Body: io.NopCloser(strings.NewReader(`{"error":{"message":"no"}}`))}
		if name != "" {
			resp.Header.Set(name, value)
		}
		return resp, nil
	}
}
