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
	"github.com/rebound-go/rebound/internal/lru"
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

	// mu guards what follows; the Rates have their own locks.
	mu     sync.Mutex
	mean   float64   // tokens of an answer, beyond the estimate of its prompt
	paused time.Time // no request is sent before this time
	valid  time.Time // what was learned is valid until then
}

// meterEntry is a meter in use.
type meterEntry = lru.Entry[meterKey, *meter]

const (
	forever = math.MaxInt64 // only the context ends the wait

	// Longer resets belong to limits of days and months. No attempt waits for them.
	longestPause = 2 * time.Minute

	smoothing = 0.1 // the weight of an answer: the last seven make up half of the mean
)

// seed is the seed of the hashes of credentials.
var seed = maphash.MakeSeed()

// meter returns the meter of a request, and makes it for the first request of its kind. A limit
// that is not given starts as a Rate without a limit, which learns.
func (q *Quota) meter(req *http.Request, model string) *meterEntry {
	key := meterKey{req.URL.Host, model, maphash.String(seed, credential(req))}
	return q.meters.Use(key, func() *meter {
		m := &meter{quota: q, name: cmp.Or(model, req.URL.Host)}
		m.requests.Store(q.rate(m.name+" requests", q.Requests, time.Minute, burst(q.Requests, 60)))
		m.tokens.Store(q.rate(m.name+" tokens", q.Tokens, time.Minute, burst(q.Tokens, 1)))
		return m
	})
}

// Busy reports whether a new meter would let more attempts pass.
func (m *meter) Busy() bool {
	m.mu.Lock()
	valid := time.Until(m.valid) > 0
	m.mu.Unlock()
	return valid || m.requests.Load().Busy() || m.tokens.Load().Busy()
}

// keep makes the meter busy for d, in which something that was learned is valid.
func (m *meter) keep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until := time.Now().Add(d); until.After(m.valid) {
		m.valid = until
	}
}

// credential is how a request identifies its caller. Limits depend on it.
func credential(req *http.Request) string {
	for _, name := range []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"} {
		if v := first(req.Header, name); v != "" {
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
	// A limit that the caller has given is kept. The provider's may be that of the whole account, of
	// which this program has a share.
	if n <= 0 || given > 0 {
		return
	}
	m.keep(time.Minute)
	old := rate.Load()
	if old.N == n {
		return
	}
	next := m.quota.rate(m.name+what, n, time.Minute, burst(n, share))
	m.mu.Lock()
	defer m.mu.Unlock()
	// Used tokens stay used. Otherwise a limit that changes with every answer would limit nothing.
	if old.N > 0 {
		next.Debit(max(float64(old.Burst)-old.Snapshot().Level, 0))
	}
	if left := time.Until(m.paused); !tokens && left > 0 {
		next.Learn(0, left)
	}
	rate.CompareAndSwap(old, next)
}

// pause lets no request pass for d. It also records the end of the pause, because a new Rate would
// otherwise end it.
func (m *meter) pause(d time.Duration) {
	m.keep(d)
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
// delay, because the provider would reject all callers. If the provider sends neither headers nor
// such a text, each call uses its own backoff.
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
