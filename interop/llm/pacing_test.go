package llm_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

// paidAPI is an API that allows a number of requests per second, in bursts of one second's number.
// Rejected requests count toward the limit, as OpenAI's do.
type paidAPI struct {
	rate float64

	mu     sync.Mutex
	tokens float64
	last   time.Time

	served, refused atomic.Int64
}

func (l *paidAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	l.mu.Lock()
	now := time.Now()
	l.tokens = min(l.rate, l.tokens+now.Sub(l.last).Seconds()*l.rate)
	l.last = now
	ok := l.tokens >= 1
	l.tokens = max(l.tokens-1, -l.rate/2)
	left := l.tokens
	l.mu.Unlock()
	w.Header().Set("x-ratelimit-limit-requests", fmt.Sprint(int(l.rate*60)))
	w.Header().Set("x-ratelimit-remaining-requests", fmt.Sprint(max(0, int(left))))
	w.Header().Set("x-ratelimit-reset-requests",
		fmt.Sprintf("%dms", int(max(0, 1-left)/l.rate*1000)))
	if !ok {
		l.refused.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	<-time.After(time.Duration(100+rand.IntN(200)) * time.Millisecond)
	l.served.Add(1)
	_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "42"}}]}`)
}

// outcome is the result of a job of 64 workers.
type outcome struct {
	share   float64 // the served share of what the API allows
	refused float64 // requests per row
	lost    int64   // rows given up before the time was over
}

func job(t *testing.T, quota *llm.Quota, last time.Duration) outcome {
	api := &paidAPI{rate: 50, tokens: 50, last: time.Now()}
	server := httptest.NewServer(api)
	defer server.Close()
	client := &http.Client{Transport: &llm.Transport{Quota: quota, Policy: &rebound.Policy{
		Attempts: 5, Budget: budget.Unlimited,
		Backoff:   backoff.Exponential{Base: 500 * time.Millisecond},
		Throttled: backoff.Exponential{Base: 500 * time.Millisecond},
		RetryIf:   func(f fault.Fault) bool { return f.Kind != fault.Permanent },
	}, Base: &http.Transport{MaxIdleConnsPerHost: 64}}}
	ctx, cancel := context.WithTimeout(t.Context(), last)
	defer cancel()
	var rows, lost atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 64 {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/v1/chat/completions",
					strings.NewReader(`{"model": "m"}`))
				resp, err := client.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				switch {
				case err == nil && resp.StatusCode == 200:
					rows.Add(1)
				case time.Since(begin) < last-5*time.Second: // not for lack of time
					rows.Add(1)
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	allowed := 50 * (1 + time.Since(begin).Seconds())
	return outcome{float64(api.served.Load()) / allowed,
		float64(api.refused.Load()) / float64(rows.Load()), lost.Load()}
}

// 64 workers that share one quota lose nothing. Without it, most of their attempts are rejected.
func TestSharedQuota(t *testing.T) {
	t.Parallel()
	const last = 20 * time.Second
	var alone, shared outcome
	good := false
	for try := 0; try < 3 && !good; try++ { // a busy machine can only lower the share
		var wg sync.WaitGroup
		wg.Go(func() { alone = job(t, nil, last) })
		wg.Go(func() { shared = job(t, &llm.Quota{}, last) })
		wg.Wait()
		t.Logf("without a quota %+v, with a shared one %+v", alone, shared)
		good = shared.share >= 0.8 && shared.refused < 0.02 && shared.lost == 0
	}
	if !good {
		t.Errorf("got %+v, want a share of 0.8, 0.02 rejections a row, nothing lost", shared)
	}
	if alone.share > shared.share/2 || alone.refused < 1 {
		t.Errorf("without a quota got %+v: the API does not limit", alone)
	}
}
