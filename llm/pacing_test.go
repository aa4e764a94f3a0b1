package llm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// paced is a service, and the results of a client with a quota.
type paced struct {
	service
	client *http.Client
	begin  time.Time
	key    string
}

func newPaced(q *llm.Quota, replies ...reply) *paced {
	p := &paced{service: service{replies: replies}, begin: time.Now()}
	p.client = &http.Client{Transport: &llm.Transport{Base: &p.service, Quota: q}}
	return p
}

const gemini = "/v1beta/models/gemini:streamGenerateContent"

// ask sends a body, and returns when the answer came, or why none came.
func (p *paced) ask(ctx context.Context, path, body string) (at time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://llm.example"+path,
		strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	if p.key != "" {
		req.Header.Set("Authorization", p.key)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return time.Since(p.begin), err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return time.Since(p.begin), err
}

// times sends bodies one after the other, and returns when each answer came.
func (p *paced) times(t *testing.T, n int, path, body string) (at []time.Duration) {
	t.Helper()
	for range n {
		d, err := p.ask(t.Context(), path, body)
		if err != nil {
			t.Errorf("after %v: %v", d, err)
		}
		at = append(at, d)
	}
	return at
}

func answer(body string, header ...string) reply {
	r := failing(200, body, header...)
	return r
}

// used is an answer that used so many tokens.
func used(n int, header ...string) reply {
	return answer(fmt.Sprintf(`{"choices": [], "usage": {"total_tokens": %d}}`, n), header...)
}

func seconds(list ...float64) (ds []time.Duration) {
	for _, s := range list {
		ds = append(ds, time.Duration(s*float64(time.Second)))
	}
	return ds
}

// thousand is a body that is estimated at 1000 tokens.
const thousand = `{"model":"m","max_tokens":991,"x":0}`

// When each of several calls, one after the other, has its answer.
func TestQuotaPaces(t *testing.T) {
	for _, row := range []struct {
		name  string
		quota *llm.Quota
		path  string // "" = chatPath
		body  string
		reply []reply
		want  []time.Duration
	}{
		{"none", nil, "", thousand, []reply{used(1)}, seconds(0, 0, 0)},
		{"zero", &llm.Quota{}, "", thousand, []reply{used(1)}, seconds(0, 0, 0)},
		{"requests", &llm.Quota{Requests: 30}, "", thousand, []reply{used(1)}, seconds(0, 2, 4)},
		{"a second's requests at once", &llm.Quota{Requests: 120}, "", thousand, []reply{used(1)},
			seconds(0, 0, 0.5, 1)},
		{"tokens as estimated", &llm.Quota{Tokens: 2000}, "", thousand, []reply{answer(`{}`)},
			seconds(0, 0, 30, 60)},
		{"tokens as used, fewer", &llm.Quota{Tokens: 2000}, "", thousand, []reply{used(500)},
			seconds(0, 0, 0, 15)}, // needs 500, 500, then 1000
		{"tokens as used, more", &llm.Quota{Tokens: 2000}, "", thousand, []reply{used(3000)},
			seconds(0, 60)}, // a debt of 1000
		{"more than the quota", &llm.Quota{Tokens: 500}, "", thousand, []reply{answer(`{}`)},
			seconds(0, 60, 120)},
		{"more than the quota, as used", &llm.Quota{Tokens: 500}, "", thousand, []reply{used(1000)},
			seconds(0, 120, 240)},
		{"no bound", &llm.Quota{Tokens: 500}, "", `{"model":"m","max_tokens":2147483647}`,
			[]reply{answer(`{}`)}, seconds(0, 60, 120)},
		{"no bound, as used", &llm.Quota{Tokens: 500}, "", `{"model":"m","max_tokens":1e300}`,
			[]reply{used(250)}, seconds(0, 30, 60)},
		{"own estimate", &llm.Quota{Tokens: 60, Estimate: func(*http.Request) int { return 60 }}, "",
			thousand, []reply{answer(`{}`)}, seconds(0, 60, 120)},
		{"no own estimate", &llm.Quota{Tokens: 2000, Estimate: func(*http.Request) int { return -9 }},
			"", thousand, []reply{answer(`{}`)}, seconds(0, 0, 30)},
		{"mean answer", &llm.Quota{Tokens: 1000}, "", `{"model":"m","x":"0123456"}`,
			[]reply{used(707)}, seconds(0, 24.84, 67.26)}, // 7 of the prompt, 700 of the answer
		{"stream", &llm.Quota{Tokens: 2000}, "", thousand, []reply{stream(role, hello,
			`data: {"choices": [], "usage": {"total_tokens": 2000}}`, done)}, seconds(0, 30)},
		{"stream of Anthropic", &llm.Quota{Tokens: 2000}, "/v1/messages", thousand,
			[]reply{stream("event: message_start\ndata: {\"type\": \"message_start\", \"message\": "+
				`{"usage": {"input_tokens": 1200, "output_tokens": 1}}}`, said, "event: message_delta\n"+
				`data: {"type": "message_delta", "usage": {"output_tokens": 800}}`, stopped)},
			seconds(0, 30)},
		{"pieces", &llm.Quota{Tokens: 2000}, gemini, thousand, []reply{answer(`[{"candidates": []},
			{"usageMetadata": {"promptTokenCount": 1500, "totalTokenCount": 2000}}]`)}, seconds(0, 30)},
		{"another endpoint", &llm.Quota{Requests: 1}, "/v1/files", thousand, []reply{used(1)},
			seconds(0, 0)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(row.quota, row.reply...)
				got := p.times(t, len(row.want), orElse(row.path, chatPath), row.body)
				for i := range got {
					got[i] = got[i].Round(10 * time.Millisecond)
				}
				if !slices.Equal(got, row.want) {
					t.Errorf("got %v, want %v", got, row.want)
				}
			})
		})
	}
}

func TestQuotaLearns(t *testing.T) {
	openAI := []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0",
		"x-ratelimit-reset-requests", "60s"}
	limited := func(text string, header ...string) reply {
		return failing(429, message(text), header...)
	}
	for _, row := range []struct {
		name  string
		quota *llm.Quota
		reply []reply
		want  []time.Duration
	}{
		{"OpenAI", &llm.Quota{}, []reply{used(1, openAI...)}, seconds(0, 1, 2)},
		{"given and less", &llm.Quota{Requests: 120}, []reply{used(1, openAI...)},
			seconds(0, 0.5, 1)},
		{"OpenAI, tokens", &llm.Quota{}, []reply{used(1000, "x-ratelimit-limit-tokens", "6000",
			"x-ratelimit-remaining-tokens", "0")}, seconds(0, 10, 20)},
		{"Anthropic", &llm.Quota{}, []reply{used(1, "anthropic-ratelimit-requests-limit", "30",
			"anthropic-ratelimit-requests-remaining", "0",
			"anthropic-ratelimit-requests-reset", "2000-01-01T00:00:59Z")}, seconds(0, 2, 4)},
		{"Anthropic, tokens", &llm.Quota{}, []reply{used(1000, "anthropic-ratelimit-tokens-limit",
			"6000", "anthropic-ratelimit-tokens-remaining", "0",
			"anthropic-ratelimit-output-tokens-limit", "1",
			"anthropic-ratelimit-output-tokens-remaining", "0")}, seconds(0, 10, 20)},
		{"IETF", &llm.Quota{}, []reply{used(1, "RateLimit", `"a";r=0;t=7`,
			"RateLimit-Policy", `"a";q=60;w=60`)}, seconds(0, 7, 14)},
		{"IETF, remaining", &llm.Quota{}, []reply{used(1, "RateLimit", `"a";r=2;t=7`), used(1)},
			seconds(0, 0, 0, 7)},
		{"a day's limit", &llm.Quota{}, []reply{used(1, "x-ratelimit-limit-requests", "14400",
			"x-ratelimit-remaining-requests", "14370", "x-ratelimit-reset-requests", "3m0s")},
			seconds(0, 0, 0)},
		{"Retry-After", &llm.Quota{}, []reply{limited("slow down", "Retry-After", "20"), used(1)},
			seconds(20, 20)},
		{"text of OpenAI", &llm.Quota{}, []reply{limited("Rate limit reached for m in organization o " +
			"on tokens per min (TPM): Limit 6000, Used 6000, Requested 1000. " +
			"Please try again in 10s."), used(1000)}, seconds(10, 20, 30)},
		{"text of OpenAI, old", &llm.Quota{}, []reply{limited("Rate limit reached for m on requests " +
			"per min. Limit: 3 / min. Please try again in 20s."), used(1)}, seconds(20, 40, 60)},
		{"text of Anthropic", &llm.Quota{}, []reply{limited("This request would exceed your "+
			"organization's rate limit of 3 requests per minute", "retry-after", "20"), used(1)},
			seconds(20, 40, 60)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(row.quota, row.reply...)
				got := p.times(t, len(row.want), chatPath, thousand)
				for i, d := range got {
					// Delays after a 429 have some jitter on top.
					if d < row.want[i] || d > row.want[i]+row.want[0]/4+10*time.Millisecond {
						t.Errorf("got %v, want %v", got, row.want)
						break
					}
				}
			})
		})
	}
}

// Each model and each credential has its own limits.
func TestQuotaKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Requests: 1}
		p := newPaced(q, used(1))
		for _, call := range []struct{ key, path, body string }{
			{"a", chatPath, `{"model": "m"}`}, {"b", chatPath, `{"model": "m"}`},
			{"a", chatPath, `{"model": "n"}`}, {"a", gemini, `{}`},
			{"a", "/openai/deployments/d/chat/completions", `{}`},
			{"a", "/model/arn:aws:bedrock:x/y/invoke", `{}`}, {"a", "/model/id/invoke", `{}`},
		} {
			p.key = call.key
			if at, err := p.ask(t.Context(), call.path, call.body); at != 0 || err != nil {
				t.Errorf("%v: %v, %v; want an answer at once", call, at, err)
			}
		}
		var names []string
		for s := range q.Snapshots() {
			if strings.HasSuffix(s.Name, "requests") {
				names = append(names, s.Name)
			}
		}
		slices.Sort(names)
		want := []string{"arn:aws:bedrock:x/y requests", "d requests", "gemini requests",
			"id requests", "m requests", "m requests", "n requests"}
		if !slices.Equal(names, want) {
			t.Errorf("got %q, want %q", names, want)
		}
	})
}

// A quota is saturated when attempts of each model wait.
func TestQuotaSaturated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Requests: 1}
		p := newPaced(q, used(1))
		var waiting sync.WaitGroup
		for i, row := range []struct {
			model string
			want  bool
		}{
			{"m", false}, {"m", true}, {"n", false}, {"n", true},
		} {
			waiting.Go(func() { _, _ = p.ask(t.Context(), chatPath, `{"model": "`+row.model+`"}`) })
			synctest.Wait()
			if got := q.Saturated(); got != row.want {
				t.Errorf("attempt %d, for %s: saturated %v, want %v", i+1, row.model, got, row.want)
			}
		}
		waiting.Wait()
		if q.Saturated() || new(llm.Quota).Saturated() {
			t.Error("saturated although no attempt waits")
		}
	})
}

// An attempt takes from both limits or from neither.
func TestQuotaTakesBothOrNeither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Requests: 60, Tokens: 1000, Wait: 30 * time.Second}
		p := newPaced(q, answer(`{}`))
		p.times(t, 1, chatPath, thousand)
		time.Sleep(10 * time.Second)
		at, err := p.ask(t.Context(), chatPath, thousand)
		if !errors.Is(err, limit.ErrRate) || !errors.Is(err, rebound.Rejected) ||
			at != 10*time.Second {
			t.Errorf("got %v after %v, want a rejection at once", err, at)
		}
		time.Sleep(25 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := p.ask(ctx, chatPath, thousand); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the caller's end", err)
		}
		for s := range q.Snapshots() {
			if strings.HasSuffix(s.Name, "requests") && s.Level < 1 {
				t.Errorf("got %+v, want the request returned", s)
			}
		}
		if got := p.times(t, 1, chatPath, thousand); got[0] != time.Minute {
			t.Errorf("got %v, want a minute: nothing was taken meanwhile", got)
		}
	})
}

// Concurrent requests are sent in order, each in its turn, and none is rejected.
func TestQuotaConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(&llm.Quota{Requests: 600}, used(1))
		var wg sync.WaitGroup
		var mu sync.Mutex
		var at []time.Duration
		for range 30 {
			wg.Go(func() {
				d, err := p.ask(t.Context(), chatPath, thousand)
				mu.Lock()
				defer mu.Unlock()
				if at = append(at, d); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.Sort(at)
		if at[9] != 0 || at[10] != 100*time.Millisecond || at[29] != 2*time.Second {
			t.Errorf("got %v, want ten at once, then one each 100 ms", at)
		}
	})
}

// No attempt waits for the pause of a limit per day.
func TestQuotaDoesNotWaitForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(&llm.Quota{}, failing(429, message("slow down"), "Retry-After", "7200"))
		for range 3 {
			resp, _, err := post(t, p.client, chatPath)
			if err != nil || resp.StatusCode != 429 || time.Since(p.begin) != 0 {
				t.Fatalf("got %v, %v after %v; want status 429 at once", resp, err,
					time.Since(p.begin))
			}
		}
	})
}

// The tokens of a request that was certainly not sent are returned.
func TestQuotaGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Requests: 1, Tokens: 1000}
		p := newPaced(q, failing(400, message("no such field")))
		p.times(t, 1, chatPath, thousand)
		for s := range q.Snapshots() {
			want := map[bool]float64{true: 0, false: 1000}[strings.HasSuffix(s.Name, "requests")]
			if s.Level != want {
				t.Errorf("got %+v, want level %v", s, want)
			}
		}
	})
}

// Requests that have waited behind a long one for tokens are still sent one by one.
func TestQuotaSpacesWhatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(&llm.Quota{Requests: 60, Tokens: 60000, Estimate: func(r *http.Request) int {
			return int(r.ContentLength)
		}}, answer(`{}`))
		var mu sync.Mutex
		var at []time.Duration
		var wg sync.WaitGroup
		for _, n := range []int{60000, 30000, 10, 10, 10, 10} {
			wg.Go(func() {
				d, err := p.ask(t.Context(), chatPath, strings.Repeat(" ", n))
				mu.Lock()
				defer mu.Unlock()
				if at = append(at, d.Round(time.Second)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if want := seconds(0, 30, 31, 32, 33, 34); !slices.Equal(at, want) {
			t.Errorf("got %v, want %v", at, want)
		}
	})
}

// Requests that Base makes for a call are no further calls of the quota, and their answers teach it
// nothing.
func TestQuotaCountsCallsOnce(t *testing.T) {
	for name, base := range map[string]func(service http.RoundTripper) roundTrip{
		"another Transport": func(service http.RoundTripper) roundTrip {
			return (&reboundhttp.Transport{Base: service}).RoundTrip
		},
		"a request for a token": func(service http.RoundTripper) roundTrip {
			tokens := &http.Client{Transport: &reboundhttp.Transport{Base: service}}
			return func(req *http.Request) (*http.Response, error) {
				of, err := http.NewRequestWithContext(req.Context(), "GET", "http://tokens.example", nil)
				if err != nil {
					return nil, err
				}
				resp, err := tokens.Do(of)
				if err != nil {
					return nil, err
				}
				_ = resp.Body.Close()
				return service.RoundTrip(req)
			}
		},
		"a question to another model": func(service http.RoundTripper) roundTrip {
			other := newPaced(nil, used(90000, "x-ratelimit-limit-requests", "1",
				"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "60s"))
			return func(req *http.Request) (*http.Response, error) {
				if _, err := other.ask(req.Context(), chatPath, thousand); err != nil {
					return nil, err
				}
				return service.RoundTrip(req)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPaced(&llm.Quota{Requests: 60, Tokens: 60000}, used(1000))
			p.client.Transport.(*llm.Transport).Base = base(&p.service)
			if got, want := p.times(t, 3, chatPath, thousand), seconds(0, 1, 2); !slices.Equal(got, want) {
				t.Errorf("%s: answers after %v, want %v", name, got, want)
			}
		})
	}
}

func TestQuotaValidate(t *testing.T) {
	for _, q := range []*llm.Quota{
		{Requests: -1}, {Tokens: -1}, {Wait: -1}, {Requests: math.Inf(1)}, {Tokens: math.NaN()},
	} {
		_, _, err := post(t, &http.Client{Transport: &llm.Transport{Quota: q}}, chatPath)
		if !errors.Is(err, rebound.Invalid) || !strings.Contains(err.Error(), "llm: Quota.") {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}
