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
	// Total has the counts of all policies together.
	Total Summary `json:"total"`

	// Policies has the counts of each policy, sorted by name.
	Policies []Summary `json:"policies"`

	// Recent has the last failed calls, at most 16, the newest first.
	Recent []Failure `json:"recent,omitempty"`
}

// Summary counts the calls of one policy, or of all. A call is counted when it ends. Waits, Delay
// and Faults also include calls that are under way.
type Summary struct {
	// Policy is the policy's name. It is empty in Total, and for a policy without a name.
	Policy string `json:"policy"`

	// Calls is the sum of Succeeded and Failed.
	Calls     int64 `json:"calls"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`

	// Unattempted is the number of failed calls without an attempt: a gate rejected the first attempt,
	// or the context had already ended.
	Unattempted int64 `json:"unattempted"`

	// Fallbacks is the number of failed calls whose fallback was called: see [rebound.DoElse].
	// FallbacksFailed is the number of fallbacks that failed as well.
	Fallbacks       int64 `json:"fallbacks"`
	FallbacksFailed int64 `json:"fallbacks_failed"`

	// SuccessPercent is 100 × Succeeded / Calls, or 0 without calls.
	SuccessPercent float64 `json:"success_percent"`

	// Attempts is the number of attempts. Retries is the number of attempts after the first of a call.
	Attempts int64 `json:"attempts"`
	Retries  int64 `json:"retries"`

	// PerCall is Attempts / Calls, the load on the service for each call, or 0 without calls. It may
	// be below 1 if gates reject calls. PerAttempted is the same without the Unattempted calls.
	PerCall      float64 `json:"attempts_per_call"`
	PerAttempted float64 `json:"attempts_per_attempted_call"`

	// Waits is the number of delays before retries, and Delay is their sum. A delay counts in full,
	// even if the call ended during the delay.
	Waits int64         `json:"waits"`
	Delay time.Duration `json:"delay_ns"`

	// Elapsed is the sum of the times that calls took, delays included. Longest is the longest of
	// these times.
	Elapsed time.Duration `json:"elapsed_ns"`
	Longest time.Duration `json:"longest_ns"`

	// Distribution is the number of calls by their number of attempts. Unattempted calls have 0
	// attempts. Rows without calls are left out.
	Distribution []Row `json:"distribution,omitempty"`

	// Stops is the number of failed calls by the reason why they stopped.
	Stops map[rebound.Reason]int64 `json:"stops,omitempty"`

	// Faults is the number of failed attempts by the kind of their failure.
	Faults map[fault.Kind]int64 `json:"faults,omitempty"`

	// Rejections is the number of failed calls with reason rejected, by gate, most calls first. At
	// most 50 gates of each policy are counted by name.
	Rejections []Rejection `json:"rejections,omitempty"`
}

// Rejection counts the calls that one gate ended.
type Rejection struct {
	// Kind is "breaker", "rate", "throttle", "concurrency" (for adaptive limits too) or "gate" (for a
	// custom gate).
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Calls int64  `json:"calls"`

	// Unattempted is the number of these Calls that made no attempt.
	Unattempted int64 `json:"unattempted"`
}

// RejectedBy returns the kind and the name of the gate that ended the call of a GaveUp event, as in
// [Rejection]. ok is false if no gate ended the call.
func RejectedBy(e rebound.Event) (kind, name string, ok bool) {
	gate, ok := rejection.By(e)
	return gate.Kind, gate.Name, ok
}

// Row is one line of a distribution of attempts per call.
type Row struct {
	// Attempts is the number of attempts of these calls. 0 = Unattempted.
	Attempts int `json:"attempts"`

	// OrMore is true if the row holds the calls with 10 attempts or more.
	OrMore bool  `json:"or_more,omitempty"`
	Calls  int64 `json:"calls"`

	// Percent is the share of Calls in the calls of all rows, from 0 to 100.
	Percent float64 `json:"percent"`
}

// Failure is one call that failed.
type Failure struct {
	Time     time.Time      `json:"time"`
	Policy   string         `json:"policy"`
	Attempts int            `json:"attempts"` // 0 = the call made none
	Reason   rebound.Reason `json:"reason"`

	// Kind and Detail are those of the last attempt's fault: see [fault.Fault].
	Kind   fault.Kind `json:"kind"`
	Detail string     `json:"detail,omitempty"`
	Error  string     `json:"error"`
}

// Snapshot returns the counts at this moment. An event is in all of them or in none.
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
	// Each shard has its own last failures. The last failures of all are among these.
	slices.SortStableFunc(recent, func(a, b failure) int { return b.at.Compare(a.at) })
	for _, f := range recent[:min(len(recent), recentSize)] {
		s.Recent = append(s.Recent, f.plain())
	}
	return s
}

// collect copies what is in the shards, added up by policy. All other work is done after the locks
// are released, so that events do not wait for it.
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

// summary turns c into plain data. It keeps c's maps.
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

// per returns n divided by of. If both are 0, it returns 0 and not NaN, which JSON cannot hold.
func per(n, of int64) float64 { return float64(n) / float64(cmp.Or(of, 1)) }

// plain turns the failure into text. Only a snapshot calls it, because most failures are replaced
// by later ones before that.
func (f failure) plain() Failure {
	p := Failure{
		Time: f.at, Policy: f.event.Policy, Attempts: f.event.Attempt, Reason: f.event.Reason,
		Kind: f.event.Fault.Kind, Detail: f.event.Fault.Detail,
	}
	if f.event.Err != nil {
		p.Error = fmt.Sprint(f.event.Err) // because an Error method may panic
	}
	return p
}
