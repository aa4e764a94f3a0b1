package llm

import (
	"cmp"
	"errors"
	"hash/maphash"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundhttp"
)

// meter holds the limits of one model at one host with one credential. When a limit is learned or
// changes, a new Rate replaces the old one. Attempts that already wait for the old Rate keep their
// place in its queue.
type meter struct {
	quota            *Quota
	name             string
	requests, tokens atomic.Pointer[limit.Rate]

	usedAt time.Time // guarded by the Quota's mu

	// mu guards what follows; the Rates have locks of their own.
	mu     sync.Mutex
	mean   float64   // tokens of an answer, beyond the estimate of its prompt
	paused time.Time // until when no request is sent
}

const (
	manyMeters = 1000 // are kept before idle ones are forgotten
	idleMeter  = 10 * time.Minute

	forever = math.MaxInt64 // the context alone ends the wait

	// Longer resets belong to limits of days and months. No attempt waits for those, as no policy
	// does.
	longestPause = 2 * time.Minute

	smoothing = 0.1 // of the mean; half of it is from the last seven answers
)

// meter returns the meter of a request, and makes it for the first request of its kind.
func (q *Quota) meter(req *http.Request, model string) *meter {
	q.mu.Lock()
	defer q.mu.Unlock()
	// The zero Quota is ready to use, so the map is made at the first request.
	if q.meters == nil {
		q.meters, q.seed = map[meterKey]*meter{}, maphash.MakeSeed()
	}
	key := meterKey{req.URL.Host, model, maphash.String(q.seed, credential(req))}
	m := q.meters[key]
	// A limit that is not given starts as a Rate without a limit, which learns.
	if m == nil {
		q.forget()
		m = &meter{quota: q, name: cmp.Or(model, req.URL.Host)}
		m.requests.Store(q.rate(m.name+" requests", q.Requests, time.Minute, burst(q.Requests, 60)))
		m.tokens.Store(q.rate(m.name+" tokens", q.Tokens, time.Minute, burst(q.Tokens, 1)))
		q.meters[key] = m
	}
	m.usedAt = time.Now()
	return m
}

// forget drops meters once there are many: the idle ones first, and others if that is not enough. A
// model that returns learns its limits again. The caller holds q.mu.
func (q *Quota) forget() {
	if len(q.meters) < manyMeters {
		return
	}
	for key, m := range q.meters {
		if time.Since(m.usedAt) > idleMeter {
			delete(q.meters, key)
		}
	}
	for key := range q.meters {
		if len(q.meters) < manyMeters {
			return
		}
		delete(q.meters, key)
	}
}

// credential is how a request identifies its caller. Limits depend on it.
func credential(req *http.Request) string {
	for _, name := range []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"} {
		if v := req.Header.Get(name); v != "" {
			return v
		}
	}
	if req.URL.RawQuery == "" { // a query that is empty would cost an allocation
		return ""
	}
	return req.URL.Query().Get("key")
}

// rate makes a limit of n in each period; n = 0 means that it is unknown. The Quota's Wait bounds
// the time in its queue, and so does a deadline of the request's context.
func (q *Quota) rate(name string, n float64, per time.Duration, burst int) *limit.Rate {
	wait := q.Wait
	if wait == 0 {
		wait = forever
	}
	return &limit.Rate{Name: name, N: n, Per: per, Burst: burst, Wait: wait}
}

// burst is the part of n that may be taken at once. Providers enforce a limit of requests per
// minute by the second as well, but allow a minute's tokens at once.
func burst(n, share float64) int { return int(min(max(n/share, 1), math.MaxInt32)) }

// meanOutput is the mean number of tokens in the model's answers so far, or 0 before the first.
func (m *meter) meanOutput() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mean
}

// answered adds the tokens of one answer to the mean. The mean follows a change in the kind of
// answers within some dozens of them.
func (m *meter) answered(tokens float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The first answer is the mean, which would otherwise climb from 0 for dozens of answers.
	if m.mean == 0 {
		m.mean = tokens
	}
	m.mean += smoothing * (tokens - m.mean)
}

// set makes n the limit per minute, unless the limit was given. If several responses arrive at
// once, one of them sets it. A limit that the provider changes is replaced.
func (m *meter) set(tokens bool, n float64) {
	rate, given, share, what := &m.requests, m.quota.Requests, 60.0, " requests"
	if tokens {
		rate, given, share, what = &m.tokens, m.quota.Tokens, 1, " tokens"
	}
	old := rate.Load()
	// A limit that the caller has given is kept. The provider's may be that of the whole account, of
	// which this program has a share.
	if n <= 0 || given > 0 || old.N == n {
		return
	}
	next := m.quota.rate(m.name+what, n, time.Minute, burst(n, share))
	m.mu.Lock()
	defer m.mu.Unlock()
	// What is used stays used. Otherwise a limit that changes with every answer would hold nothing
	// back.
	if old.N > 0 {
		next.Debit(max(float64(old.Burst)-old.Snapshot().Level, 0))
	}
	if left := time.Until(m.paused); !tokens && left > 0 {
		next.Learn(0, left)
	}
	rate.CompareAndSwap(old, next)
}

// pause lets no request pass for d. It is recorded beside the Rate, because a new limit would
// otherwise end it.
func (m *meter) pause(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until := time.Now().Add(d); until.After(m.paused) {
		m.paused = until
	}
	m.requests.Load().Learn(0, d)
}

// refusals match the texts of errors with status 429 that state a limit: those of OpenAI and Groq,
// of OpenAI until 2024, and of Anthropic.
var refusals = []*regexp.Regexp{
	regexp.MustCompile(`(?i)on (?P<what>request|token)s per min[^:]*: ` + stated("limit") +
		`(?:, ` + stated("used") + `)?`),
	regexp.MustCompile(`(?i)on (?P<what>request|token)s per min.*?` + stated("limit") + ` ?/ ?min`),
	regexp.MustCompile(`(?i)` + stated("limit") + ` (?P<what>request|(?:input |output )?token)s` +
		` per minute`),
}

// stated matches the name of a number and the number itself, which may have commas between
// thousands.
func stated(name string) string { return name + `(?: of|:)? (?P<` + name + `>\d+(?:,\d{3})*)` }

// learnRefusal reads the limit in the text of a 429. No attempt starts during the Retry-After
// delay: the provider would reject the other callers as well. If the provider sends neither headers
// nor such a text, each call keeps to its own backoff.
func (m *meter) learnRefusal(f fault.Fault) {
	if e := (*reboundhttp.StatusError)(nil); errors.As(f.Err, &e) {
		m.read(ofResponse(e.Response, e.Body).text)
	}
	if f.After > 0 && f.After <= longestPause {
		m.pause(f.After)
	}
}

// read learns the limit that a text states, and what is left of it if the text states that too.
func (m *meter) read(text string) {
	for _, re := range refusals {
		found := re.FindStringSubmatch(text)
		// The texts are tried in turn, since each belongs to one provider or version.
		if found == nil {
			continue
		}
		tokens := strings.Contains(found[re.SubexpIndex("what")], "oken")
		n := number(found[re.SubexpIndex("limit")])
		m.set(tokens, n)
		if i := re.SubexpIndex("used"); i >= 0 && found[i] != "" && tokens {
			m.tokens.Load().Learn(n-number(found[i]), 0)
		}
		return
	}
}

func number(s string) float64 {
	n, _ := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return n
}
