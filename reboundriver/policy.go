package reboundriver

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// Policy is a [rebound.Policy] as River's ClientRetryPolicy. It returns the delay that [Middleware]
// has decided. For a job that Middleware has not seen fail, because it panicked or its process was
// killed, it returns the policy's delay after a transient failure.
//
// The zero Policy is ready: it is the zero rebound.Policy.
type Policy struct {
	Policy *rebound.Policy // nil = the zero rebound.Policy
}

// MaxAttempts returns the policy's attempts, for river.Config and river.InsertOpts. River has no
// unlimited attempts: it is 32767 for [rebound.Unlimited], the most that its column holds.
func (p Policy) MaxAttempts() int {
	n := p.Policy.MaxAttempts()
	if n < 0 || n > math.MaxInt16 {
		return math.MaxInt16
	}
	return n
}

// NextRetry implements river.ClientRetryPolicy. The time is never in the past: River would use its
// own policy instead.
func (p Policy) NextRetry(job *rivertype.JobRow) time.Time {
	if at, ok := decided.LoadAndDelete(weak.Make(job)); ok {
		return later(time.Now(), at.(time.Time))
	}
	s := before(p.Policy, job)
	s.Attempt, s.U = s.Attempt+1, rand.Float64()
	always := p.Policy.Clone() // River has attempts left, whatever the policy says
	always.Attempts, always.MaxElapsed, always.NonIdempotent = rebound.Unlimited, 0, false
	always.RetryIf = nil // it may use the error, which is not given
	return time.Now().Add(always.Decide(s, fault.Fault{Kind: fault.Transient}).Delay)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// decided has the times of the retries that Middleware has decided, by job, until River asks for
// them: it asks with the row that Middleware was given. It never asks if the job's worker has a
// NextRetry method, or if an ErrorHandler cancels the job; then the row's end removes the entry.
var decided sync.Map // of time.Time, by weak.Pointer[rivertype.JobRow]

func decide(job *rivertype.JobRow, delay time.Duration) {
	key := weak.Make(job)
	decided.Store(key, time.Now().Add(delay))
	runtime.AddCleanup(job, func(key weak.Pointer[rivertype.JobRow]) { decided.Delete(key) }, key)
}
