package sim

import "time"

// Result is what [Run] found. It is plain data and marshals as JSON.
type Result struct {
	// Scenario as it was played, with its defaults in place.
	Scenario Scenario

	// TroubleEnd is when the last window had ended. A window that lasts for the whole run is what is
	// normal in it, and does not count. 0 = there was no window. The scenario's Duration = one
	// lasted to the end of the run, so there is no time after the trouble to judge.
	TroubleEnd time.Duration

	// Policies has one result for each of the scenario's policies.
	Policies []PolicyResult
}

// PolicyResult is what happened under one policy.
type PolicyResult struct {
	// Policy is its name, or "policy 1", "policy 2", … for one without.
	Policy string

	// Counts of the whole run.
	Counts

	// Unfinished calls were under way when the run ended. They count as calls, and as nothing
	// else.
	Unfinished int64

	// SuccessRate is the share of the calls that succeeded.
	SuccessRate float64

	// Amplification is the number of attempts that the server met for each call: its load.
	Amplification float64

	// Peak is the highest rate of attempts, per second, in any one bin that begins at the result's
	// TroubleEnd or later. 0 if the trouble did not end, or if there was none.
	Peak float64

	// Recovered says that the service came back after TroubleEnd, in Recovery: the time from there to
	// the beginning of the first five seconds, of those with calls in them, of which each saw 95 % or
	// more succeed, both of the calls that began in it and of those that ended.
	Recovered bool
	Recovery  time.Duration

	// End is when the last call ended.
	End time.Duration

	// Latency of the calls that succeeded, from their beginning, waits included.
	Latency Histogram

	// Bins are the time series: bin i begins at i times Scenario.Bin.
	Bins []Bin
}

// Counts are numbers of calls and attempts. An attempt counts where it reaches the server; how it
// ended counts where its caller gets the answer.
type Counts struct {
	Calls  int64 // that began
	OK     int64 // that succeeded
	Failed int64 // that ended otherwise

	Attempts  int64 // that reached the server
	Retries   int64 // of those, all but the first of each call and the hedges
	Hedges    int64 // of those, the hedges
	HedgesWon int64 // hedges that were answered first
	TimedOut  int64 // attempts that were given up
	Refused   int64 // attempts refused: no connection, or status 503
	Throttled int64 // attempts answered with 429
	Errors    int64 // attempts answered with an error, or that met a conflict

	// Shed attempts never got through a layer: it had no worker and no place in its queue, or their
	// caller gave up before the layer's own work was done.
	Shed int64

	Rejected int64 // attempts that a breaker or a limit kept from being made
	Denied   int64 // retries that a budget refused
}

// Bin is a step of the time series.
type Bin struct {
	Counts

	// Served is how many of the calls that began in this bin have succeeded, whenever.
	Served int64

	// Queue is how many attempts waited in the server when the bin ended.
	Queue int

	// LayerQueue is how many attempts waited for a worker of a layer when the bin ended.
	LayerQueue int

	// Open is the share of breakers that were open or half-open when the bin ended.
	Open float64

	// Waiting is how many attempts waited in the queues of the policies' limits when the bin ended.
	Waiting int

	// Limit is the mean of all adaptive limits when the bin ended. 0 = there are none.
	Limit float64
}

// tally collects a PolicyResult. It counts as things happen, since keeping every call for later
// would take more memory than the clients.
type tally struct {
	bin     time.Duration // the width of one
	bins    []Bin
	done    int // bins that have ended
	seconds []second
	latency [buckets]int64
	last    time.Duration // the end of the last call
	end     time.Duration // of the run
}

// second is what recovery is judged by.
type second struct{ begun, served, ended, ok uint32 }

func newTally(s *Scenario) tally {
	return tally{
		bin: s.Bin, end: s.Duration,
		bins:    make([]Bin, (s.Duration+s.Bin-1)/s.Bin),
		seconds: make([]second, (s.Duration+time.Second-1)/time.Second),
	}
}

// current returns the first bin that has not ended, and its end; never, if all have.
func (t *tally) current() (*Bin, time.Duration) {
	if t.done == len(t.bins) {
		return nil, never
	}
	return &t.bins[t.done], min(time.Duration(t.done+1)*t.bin, t.end)
}

func (t *tally) at(now time.Duration) *Bin { return &t.bins[now/t.bin] }

func (t *tally) callBegan(now time.Duration) {
	t.at(now).Calls++
	t.seconds[now/time.Second].begun++
}

// callEnded counts a call in the bin where it ends, and a success once more where it began: only
// the second shows which callers were served, as in a long queue good answers are to old calls.
func (t *tally) callEnded(began, now time.Duration, ok bool) {
	b := t.at(now)
	t.last = max(t.last, now)
	t.seconds[now/time.Second].ended++
	if !ok {
		b.Failed++
		return
	}
	b.OK++
	t.at(began).Served++
	t.seconds[now/time.Second].ok++
	t.seconds[began/time.Second].served++
	t.latency[bucketOf(now-began)]++
}

func (t *tally) attempted(now time.Duration, retry bool) {
	b := t.at(now)
	b.Attempts++
	if retry {
		b.Retries++
	}
}

func (t *tally) hedged(now time.Duration) {
	b := t.at(now)
	b.Attempts++
	b.Hedges++
}

func (t *tally) answered(now time.Duration, c cause) {
	b := t.at(now)
	switch c {
	case served:
	case expired:
		b.TimedOut++
	case refused, full, shut:
		b.Refused++
	case failed, conflict:
		b.Errors++
	default:
		if c.throttles() {
			b.Throttled++
		} else {
			b.Refused++
		}
	}
}

// result sums up. trouble is that of Scenario.trouble.
func (t *tally) result(trouble time.Duration) PolicyResult {
	r := PolicyResult{Bins: t.bins, End: t.last, Latency: histogram(&t.latency)}
	for i := range t.bins {
		b := &t.bins[i]
		r.Counts.add(&b.Counts)
		if trouble > 0 && time.Duration(i)*t.bin >= trouble {
			r.Peak = max(r.Peak, float64(b.Attempts)/t.bin.Seconds())
		}
	}
	r.Unfinished = r.Calls - r.OK - r.Failed
	if r.Calls > 0 {
		r.SuccessRate = float64(r.OK) / float64(r.Calls)
		r.Amplification = float64(r.Attempts) / float64(r.Calls)
	}
	if trouble > 0 {
		r.Recovery, r.Recovered = t.recovery(trouble)
	}
	return r
}

func (c *Counts) add(d *Counts) {
	c.Calls += d.Calls
	c.OK += d.OK
	c.Failed += d.Failed
	c.Attempts += d.Attempts
	c.Retries += d.Retries
	c.Hedges += d.Hedges
	c.HedgesWon += d.HedgesWon
	c.TimedOut += d.TimedOut
	c.Refused += d.Refused
	c.Throttled += d.Throttled
	c.Errors += d.Errors
	c.Shed += d.Shed
	c.Rejected += d.Rejected
	c.Denied += d.Denied
}

// recovery finds the first five good seconds after trouble. Seconds without calls are passed over.
// A second is good only by both counts: a service that serves old calls while new ones time out has
// not come back, and neither has one that serves new calls while old ones fail.
func (t *tally) recovery(trouble time.Duration) (time.Duration, bool) {
	first, good := 0, 0
	for i := int((trouble + time.Second - 1) / time.Second); i < len(t.seconds); i++ {
		s := t.seconds[i]
		switch {
		case s.begun == 0 && s.ended == 0:
		case float64(s.served) < 0.95*float64(s.begun), float64(s.ok) < 0.95*float64(s.ended):
			good = 0
		default:
			if good == 0 {
				first = i
			}
			if good++; good == 5 {
				return time.Duration(first)*time.Second - trouble, true
			}
		}
	}
	return 0, false
}
