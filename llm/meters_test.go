package llm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/internal/lru"
	"github.com/rebound-go/rebound/llm"
)

// keyed is a service that answers the key "held" by its replies, and all others by an answer
// without limits.
type keyed struct {
	*paced
	others    service
	anyAnswer bool // the others' may fail
}

func newKeyed(q *llm.Quota, replies ...reply) *keyed {
	k := &keyed{paced: newPaced(q, replies...), others: service{replies: []reply{used(1)}}}
	k.client = &http.Client{Transport: &llm.Transport{
		Quota: q, Base: k, Policy: &rebound.Policy{Attempts: 1},
	}}
	return k
}

func (k *keyed) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "held" {
		return k.others.RoundTrip(req)
	}
	return k.service.RoundTrip(req)
}

// held asks with the key "held".
func (k *keyed) held(ctx context.Context) (time.Duration, error) {
	k.key = "held"
	return k.ask(ctx, chatPath, thousand)
}

// crowd asks with so many other keys.
func (k *keyed) crowd(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		k.key = fmt.Sprint("other ", i)
		if _, err := k.ask(t.Context(), chatPath, thousand); err != nil && !k.anyAnswer {
			t.Fatalf("other key %d: %v", i, err)
		}
	}
}

func (k *keyed) wantSentAt(t *testing.T, want time.Duration) {
	t.Helper()
	if at, err := k.held(t.Context()); err != nil || at != want {
		t.Errorf("the next attempt was sent after %v, %v; want %v", at, err, want)
	}
}

// A key whose limit holds attempts back keeps it, however many keys come after it.
func TestQuotaKeepsLimitsInUse(t *testing.T) {
	once := func(t *testing.T, k *keyed) { _, _ = k.held(t.Context()) }
	for _, row := range []struct {
		name    string
		quota   *llm.Quota
		replies []reply
		use     func(*testing.T, *keyed)
		want    time.Duration
	}{
		{"requests used", &llm.Quota{Requests: 2}, []reply{used(1)}, once, 30 * time.Second},
		{"tokens used", &llm.Quota{Tokens: 1000}, []reply{used(1000)}, once, time.Minute},
		{"a debt", &llm.Quota{Tokens: 1000}, []reply{used(5000)}, once, 5 * time.Minute},
		{"limit learned", &llm.Quota{}, []reply{used(1, "x-ratelimit-limit-requests", "2",
			"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "60s")}, once,
			30 * time.Second},
		{"level learned", &llm.Quota{}, []reply{used(1, "x-ratelimit-remaining-requests", "0",
			"x-ratelimit-reset-requests", "90s")}, once, 90 * time.Second},
		{"a window learned", &llm.Quota{}, []reply{used(1, "RateLimit", `"r";r=0;t=60`)}, once,
			time.Minute},
		{"a Retry-After delay", &llm.Quota{}, []reply{failing(429, message("slow down"),
			"Retry-After", "100"), used(1)}, once, 100 * time.Second},
		{"waiting", &llm.Quota{Requests: 2}, []reply{used(1)}, func(t *testing.T, k *keyed) {
			once(t, k)
			go func() { _, _ = k.held(t.Context()) }()
			synctest.Wait()
		}, time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyed(row.quota, row.replies...)
				row.use(t, k)
				k.crowd(t, 2*lru.Max)
				k.wantSentAt(t, row.want)
			})
		})
	}
}

// An answer that is still read has its key's limit, since the usage is known only at its end.
func TestQuotaKeepsLimitsOfOpenBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed(&llm.Quota{Tokens: 1000},
			stream(role, hello, `data: {"usage": {"total_tokens": 4000}}`, done), used(1))
		req := request(chatPath, thousand)
		req.Header.Set("Authorization", "held")
		resp, err := k.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Minute) // every limit is full again
			k.crowd(t, 2*lru.Max)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		// The bucket was full before the debt of 3000.
		k.wantSentAt(t, 3*time.Minute+3*time.Minute)
	})
}

// A limit that was learned is known for a minute, although nothing of it is used any more.
func TestQuotaKeepsLearnedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{}
		k := newKeyed(q, used(1, "x-ratelimit-limit-requests", "600"))
		_, _ = k.held(t.Context())
		for after, want := range []bool{true, false} {
			time.Sleep(50 * time.Second)
			k.crowd(t, 2*lru.Max)
			known := false
			for s := range q.Snapshots() {
				known = known || s.Limit > 0
			}
			if known != want {
				t.Errorf("after %d pauses, a limit is known: %v, want %v", after+1, known, want)
			}
		}
	})
}

// Keys that are idle are forgotten, the least recently used first.
func TestQuotaForgetsIdleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &llm.Quota{Requests: 6000}
		k := newKeyed(q, used(1))
		k.others.replies = []reply{stream(role, hello, done), used(1), failing(500, ""),
			stream(role).with(errReset), stream(role, hello, done)}
		k.anyAnswer = true
		for range 3 {
			k.crowd(t, 2*lru.Max)
			time.Sleep(time.Second) // all have their token back
		}
		k.crowd(t, lru.Max)
		n := 0
		for range q.Snapshots() {
			n++
		}
		if n != 2*lru.Max {
			t.Errorf("%d limits are kept, want %d", n, 2*lru.Max)
		}
	})
}

// While goroutines use few keys often and many keys once, each of the few keeps one limit.
func TestQuotaHammerOfKeys(t *testing.T) {
	q := &llm.Quota{Requests: 60 * 10, Wait: time.Nanosecond}
	k := newKeyed(q, used(1))
	var wg sync.WaitGroup
	sent := make([]int, 8)
	began := time.Now()
	for g := range sent {
		wg.Go(func() {
			for i := range 600 {
				key := fmt.Sprint("few ", g)
				if i%2 == 0 {
					key = fmt.Sprint("many ", g, i)
				}
				req := request(chatPath, thousand)
				req.Header.Set("Authorization", key)
				resp, err := k.client.Do(req)
				if err != nil {
					continue
				}
				_ = resp.Body.Close()
				if i%2 == 1 {
					sent[g]++
				}
			}
		})
	}
	wg.Wait()
	// A limit admits a second's worth at once, and then ten each second.
	most := 10 + int(10*time.Since(began).Seconds()) + 1
	for g, n := range sent {
		if n > most {
			t.Errorf("key %d: %d attempts were sent, want at most %d", g, n, most)
		}
	}
}

// A retry that the limit of tokens would reject after its delay is not waited for. Its tokens
// count, and not a single one.
func TestQuotaForeseesTokens(t *testing.T) {
	for _, row := range []struct {
		name  string
		quota *llm.Quota
		end   time.Duration // when the call ends
		calls int
	}{
		{"too late", &llm.Quota{Tokens: 1000, Wait: 50 * time.Second}, 0, 1},
		{"in time", &llm.Quota{Tokens: 1000, Wait: time.Minute}, time.Minute, 2},
		{"more than the limit", &llm.Quota{Tokens: 500, Wait: time.Minute}, time.Minute, 2},
		{"own estimate", &llm.Quota{Tokens: 1000, Wait: 50 * time.Second,
			Estimate: func(*http.Request) int { return 500 }}, time.Second, 2},
		{"no Wait", &llm.Quota{Tokens: 1000}, time.Minute, 2},
		{"requests", &llm.Quota{Requests: 1, Wait: 50 * time.Second}, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(row.quota, failing(500, ""), used(1))
				p.client.Transport.(*llm.Transport).Policy = &rebound.Policy{
					Backoff: backoff.Constant(time.Second),
				}
				if at, _ := p.ask(t.Context(), chatPath, thousand); at != row.end || p.calls != row.calls {
					t.Errorf("ended after %v and %d calls, want %v and %d", at, p.calls, row.end, row.calls)
				}
			})
		})
	}
}
