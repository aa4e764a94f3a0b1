package stats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/rejection"
)

// Snapshot is the state of a [Recorder] at one moment. It is plain data that the caller may keep
// and change. In JSON, durations are in nanoseconds.
type Snapshot struct {
	// Total is the counts of all policies together.
	Total Summary `json:"total"`

	// Policies is the counts of each policy, sorted by name.
	Policies []Summary `json:"policies"`

	// Recent is the last failed calls, at most 16, the newest first.
	Recent []Failure `json:"recent,omitempty"`
}

// Summary counts the calls of one policy, or of all. A call counts when it has ended. Waits, Delay
// and Faults also include calls that are under way.
type Summary struct {
	// Policy is the policy's name. It is empty in Total, and for a policy without a name.
	Policy string `json:"policy"`

	// Calls is Succeeded and Failed together.
	Calls     int64 `json:"calls"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`

	// Unattempted is how many of the failed calls made no attempt: a breaker or another gate
	// rejected the first, or the context had ended already.
	Unattempted int64 `json:"unattempted"`

	// Fallbacks is how many of the failed calls called their fallback. FallbacksFailed is how many of
	// these fallbacks failed as well: see [rebound.DoElse].
	Fallbacks       int64 `json:"fallbacks"`
	FallbacksFailed int64 `json:"fallbacks_failed"`

	// SuccessPercent is Succeeded in percent of Calls; 0 without calls.
	SuccessPercent float64 `json:"success_percent"`

	// Attempts is the attempts made, including the first of each call. Retries leaves out the first
	// ones.
	Attempts int64 `json:"attempts"`
	Retries  int64 `json:"retries"`

	// PerCall is Attempts / Calls, the load on the service for each call; 0 without calls. It is below
	// 1 if gates reject calls. PerAttempted leaves out the Unattempted calls.
	PerCall      float64 `json:"attempts_per_call"`
	PerAttempted float64 `json:"attempts_per_attempted_call"`

	// Waits is the number of retries that were decided on, and Delay the sum of the delays before
	// them. Both include delays that were cut short because the call ended.
	Waits int64         `json:"waits"`
	Delay time.Duration `json:"delay_ns"`

	// Elapsed is the sum of the calls' times, delays included, and Longest the time of the longest.
	Elapsed time.Duration `json:"elapsed_ns"`
	Longest time.Duration `json:"longest_ns"`

	// Distribution is the number of calls by their number of attempts, which is 0 for Unattempted
	// calls. Rows without calls are left out.
	Distribution []Row `json:"distribution,omitempty"`

	// Stops is the number of failed calls by the reason for which they stopped.
	Stops map[rebound.Reason]int64 `json:"stops,omitempty"`

	// Faults is the number of failed attempts by the kind of their failure.
	Faults map[fault.Kind]int64 `json:"faults,omitempty"`

	// Rejections is the failed calls with reason rejected, by the gate that rejected them, most calls
	// first. Up to 50 gates of each policy are counted by name.
	Rejections []Rejection `json:"rejections,omitempty"`
}

// Rejection is the calls that one gate ended.
type Rejection struct {
	// Kind is "breaker", "rate", "throttle" or "concurrency"; "gate" for a custom one.
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Calls int64  `json:"calls"`

	// Unattempted is the part of Calls that made no attempt.
	Unattempted int64 `json:"unattempted"`
}

// RejectedBy returns the kind and the name of the gate that ended the call of a GaveUp event, as in
// [Rejection]. ok is false if no gate did.
func RejectedBy(e rebound.Event) (kind, name string, ok bool) {
	gate, ok := rejection.By(e)
	return gate.Kind, gate.Name, ok
}

// Row is one line of a distribution of attempts per call.
type Row struct {
	// Attempts is the number of attempts of these calls. 0 = the first was rejected.
	Attempts int `json:"attempts"`

	// OrMore is true for the last possible row, which holds the calls with 10 attempts or more.
	OrMore bool  `json:"or_more,omitempty"`
	Calls  int64 `json:"calls"`

	// Percent is Calls in percent of the calls in all rows.
	Percent float64 `json:"percent"`
}

// Failure is one call that failed.
type Failure struct {
	Time     time.Time      `json:"time"`
	Policy   string         `json:"policy"`
	Attempts int            `json:"attempts"` // 0 = the first was rejected, or never due
	Reason   rebound.Reason `json:"reason"`

	// Kind and Detail are those of the last attempt's failure.
	Kind   fault.Kind `json:"kind"`
	Detail string     `json:"detail,omitempty"`
	Error  string     `json:"error"`
}

// Snapshot returns the counts at this moment. It counts every event completely or not at all.
func (r *Recorder) Snapshot() Snapshot {
	policies, recent := r.collect()
	// The total is made of the same copies as the policies, so that the two agree.
	total := newCounts()
	// An empty list, since nil would be null in JSON.
	s := Snapshot{Policies: []Summary{}}
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		total.merge(policies[name])
		s.Policies = append(s.Policies, policies[name].summary(name))
	}
	s.Total = total.summary("")
	// Each shard has its last failures; the last ones of all are among them.
	slices.SortStableFunc(recent, func(a, b failure) int { return b.at.Compare(a.at) })
	for _, f := range recent[:min(len(recent), recentSize)] {
		s.Recent = append(s.Recent, f.plain())
	}
	return s
}

// collect copies everything in the shards, added up by policy. It copies under the locks and leaves
// all computing for later, so that events wait as little as possible.
func (r *Recorder) collect() (map[string]*counts, []failure) {
	policies := make(map[string]*counts)
	var recent []failure
	r.lock()
	defer r.unlock()
	for i := range r.shards {
		s := &r.shards[i]
		recent = append(recent, s.recent...)
		for name, c := range s.policies {
			if policies[name] == nil {
				policies[name] = newCounts()
			}
			policies[name].merge(c)
		}
	}
	return policies, recent
}

// summary turns c, which it keeps parts of, into plain data.
func (c *counts) summary(name string) Summary {
	calls := c.succeeded + c.failed
	// Each call that made an attempt made one first attempt, which is no retry.
	begun := calls - c.rows[0]
	s := Summary{
		Policy: name, Calls: calls, Succeeded: c.succeeded, Failed: c.failed,
		Unattempted: c.rows[0],
		Fallbacks:   c.answered + c.unanswered, FallbacksFailed: c.unanswered,
		SuccessPercent: 100 * per(c.succeeded, calls),
		Attempts:       c.attempts, Retries: c.attempts - begun,
		PerCall: per(c.attempts, calls), PerAttempted: per(c.attempts, begun),
		Waits: c.waits, Delay: c.delay, Elapsed: c.elapsed, Longest: c.longest,
		Stops: c.stops, Faults: c.faults, Rejections: rejections(c.rejections),
	}
	for attempts, n := range c.rows {
		if n > 0 {
			s.Distribution = append(s.Distribution, Row{
				Attempts: attempts, OrMore: attempts == lastRow, Calls: n, Percent: 100 * per(n, calls),
			})
		}
	}
	return s
}

// rejections turns the counts by gate into a list, because JSON has no keys with two parts.
func rejections(by map[rejection.Gate]rejected) (list []Rejection) {
	for gate, r := range by {
		list = append(list, Rejection{gate.Kind, gate.Name, r.calls, r.unattempted})
	}
	slices.SortFunc(list, func(a, b Rejection) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Name, b.Name))
	})
	return list
}

// per is n divided by of, or 0 if of is 0. The 1 avoids NaN, which JSON cannot hold.
func per(n, of int64) float64 { return float64(n) / float64(cmp.Or(of, 1)) }

// plain turns the failure into text. That is left for a snapshot, because most failures are
// replaced by later ones first.
func (f failure) plain() Failure {
	p := Failure{
		Time: f.at, Policy: f.event.Policy, Attempts: f.event.Attempt, Reason: f.event.Reason,
		Kind: f.event.Fault.Kind, Detail: f.event.Fault.Detail,
	}
	if f.event.Err != nil {
		p.Error = fmt.Sprint(f.event.Err) // which survives an Error method that panics
	}
	return p
}
