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

// meter holds the limits of one model at one host with one credential. A limit that is learned or
// changed is a new Rate; what waits for the old one keeps its turn.
type meter struct {
	quota            *Quota
	name             string
	requests, tokens atomic.Pointer[limit.Rate]

	mu     sync.Mutex
	mean   float64   // tokens of an answer, beyond the estimate of its prompt
	usedAt time.Time // guarded by the Quota's mu
}

const (
	manyMeters = 1000 // are kept before idle ones are forgotten
	idleMeter  = 10 * time.Minute

	forever = math.MaxInt64 // the context alone ends the wait

	// Longer pauses are those of days and months. Nothing waits for them, as no policy does.
	longestPause = 2 * time.Minute

	smoothing = 0.1 // of the mean; half of it is from the last seven answers
)

// meter returns the meter of a request.
func (q *Quota) meter(req *http.Request, model string) *meter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.meters == nil {
		q.meters, q.seed = map[meterKey]*meter{}, maphash.MakeSeed()
	}
	key := meterKey{req.URL.Host, model, maphash.String(q.seed, credential(req))}
	m := q.meters[key]
	// A limit that is not given begins as a Rate without one, which learns.
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

// forget drops meters once there are many: those that are idle, and any others if that is not
// enough. A model that comes back learns its limits again. The caller holds mu.
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

// credential is what a request identifies itself by, which limits depend on.
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

// rate makes a limit of n in each period; n 0 is unknown. The Quota's fields say how long its turns
// may be waited for; a deadline of the request's context ends the wait sooner.
func (q *Quota) rate(name string, n float64, per time.Duration, burst int) *limit.Rate {
	wait := q.Wait
	if wait == 0 {
		wait = forever
	}
	return &limit.Rate{Name: name, N: n, Per: per, Burst: burst, Wait: wait}
}

// burst is the share of n that may be taken at once. Providers enforce a limit of requests per
// minute as one per second, too, but let a minute's tokens pass at once.
func burst(n, share float64) int { return int(min(max(n/share, 1), math.MaxInt32)) }

func (m *meter) meanOutput() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mean
}

// answered counts the tokens of an answer. The mean follows a change of the job within some dozen
// answers.
func (m *meter) answered(tokens float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mean == 0 {
		m.mean = tokens
	}
	m.mean += smoothing * (tokens - m.mean)
}

// set makes n the limit per minute, if it was learned before or is not known. Of several responses
// at once one sets it. A limit that the provider changes is set anew.
func (m *meter) set(tokens bool, n float64) {
	rate, given, share, what := &m.requests, m.quota.Requests, 60.0, " requests"
	if tokens {
		rate, given, share, what = &m.tokens, m.quota.Tokens, 1, " tokens"
	}
	old := rate.Load()
	if n <= 0 || given > 0 || old.N == n {
		return
	}
	rate.CompareAndSwap(old, m.quota.rate(m.name+what, n, time.Minute, burst(n, share)))
}

// refusals are texts of errors with status 429 that state a limit: of OpenAI and Groq, of OpenAI
// until 2024, and of Anthropic.
var refusals = []*regexp.Regexp{
	regexp.MustCompile(`(?i)on (?P<what>request|token)s per min[^:]*: ` + stated("limit") +
		`(?:, ` + stated("used") + `)?`),
	regexp.MustCompile(`(?i)on (?P<what>request|token)s per min.*?` + stated("limit") + ` ?/ ?min`),
	regexp.MustCompile(`(?i)` + stated("limit") + ` (?P<what>request|(?:input |output )?token)s` +
		` per minute`),
}

// stated matches the name of a number and the number, with commas between its thousands.
func stated(name string) string { return name + `(?: of|:)? (?P<` + name + `>\d+(?:,\d{3})*)` }

// learnRefusal reads the limit in the text of a refusal. Nothing is sent during the Retry-After
// delay: whatever was refused, the other callers would be refused as well. A provider that sends
// neither headers nor a text leaves each call to its own backoff.
func (m *meter) learnRefusal(f fault.Fault) {
	if e := (*reboundhttp.StatusError)(nil); errors.As(f.Err, &e) {
		m.read(ofResponse(e.Response, e.Body).text)
	}
	if f.After > 0 && f.After <= longestPause {
		m.requests.Load().Learn(0, f.After)
	}
}

func (m *meter) read(text string) {
	for _, re := range refusals {
		found := re.FindStringSubmatch(text)
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
