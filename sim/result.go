package sim

import "time"

// Result is the result of [Run]. It is plain data, and can be marshaled as JSON.
type Result struct {
	// Scenario is the scenario as it was played, with defaults in place.
	Scenario Scenario

	// TroubleEnd is when the last window ended. A window over the whole run is the normal state, and
	// does not count. 0 = there was no window. If it equals the scenario's Duration, a window lasted
	// to the end of the run, so there is no time after the trouble to judge.
	TroubleEnd time.Duration

	// Policies holds one result for each of the scenario's policies, in their order.
	Policies []PolicyResult
}

// PolicyResult is the result of one policy.
type PolicyResult struct {
	// Policy is the policy's name. Policies without a name are called "policy 1", "policy 2" and so
	// on.
	Policy string

	// Counts of the whole run.
	Counts

	// Unfinished is the number of calls that were under way when the run ended. They are part of Calls
	// only.
	Unfinished int64

	// SuccessRate is the share of the calls that succeeded.
	SuccessRate float64

	// Amplification is the number of attempts that reached the server for each call: the load that
	// retries make.
	Amplification float64

	// Peak is the highest rate of attempts per second in any bin that begins at TroubleEnd or later. 0
	// if the trouble did not end, or if there was none.
	Peak float64

	// Recovered reports whether the service recovered after TroubleEnd. Recovery is the time from
	// TroubleEnd to the start of the first five good seconds. Seconds without calls are skipped. A
	// second is good if at least 95 % of the calls that began in it succeed, and at least 95 % of
	// those that ended in it.
	Recovered bool
	Recovery  time.Duration

	// End is when the last call ended.
	End time.Duration

	// Latency is the times of the calls that succeeded, from their beginning, delays included.
	Latency Histogram

	// Bins are the time series: bin i begins at i times Scenario.Bin.
	Bins []Bin
}

// Counts are numbers of calls and attempts. An attempt counts in the bin in which it reaches the
// server. Its outcome counts in the bin in which the caller gets the answer.
type Counts struct {
	// Calls is the number of calls that began, OK of those that succeeded, and Failed of those that
	// failed.
	Calls  int64
	OK     int64
	Failed int64

	// Attempts is the number of attempts that reached the server.
	Attempts int64

	// Retries is the number of Attempts that were neither the first of a call nor hedges.
	Retries int64

	// Hedges is the number of Attempts that were hedges. HedgesWon is the number of hedges that were
	// answered first.
	Hedges    int64
	HedgesWon int64

	// TimedOut is the number of attempts that their callers gave up.
	TimedOut int64

	// Refused is the number of attempts whose connection was refused, or that were answered with
	// status 503.
	Refused int64

	// Throttled is the number of attempts answered with status 429.
	Throttled int64

	// Errors is the number of attempts answered with another error, or that met a conflict.
	Errors int64

	// Shed is the number of attempts that a layer did not pass on. The layer had no worker and no room
	// in its queue, or the caller gave up before the layer's own work was done.
	Shed int64

	// Rejected is the number of attempts that a breaker or a limit rejected.
	Rejected int64

	// Denied is the number of retries for which a budget had no token.
	Denied int64
}

// Bin is a step of the time series.
type Bin struct {
	Counts

	// Served is the number of calls that began in this bin and succeeded, in this bin or later.
	Served int64

	// Queue is the number of attempts that waited in the server at the end of the bin.
	Queue int

	// LayerQueue is the number of attempts that waited for a worker of a layer at the end of the bin.
	LayerQueue int

	// Open is the share of breakers that were open or half-open at the end of the bin.
	Open float64

	// Waiting is the number of attempts that waited in the queues of the policies' limits at the end
	// of the bin.
	Waiting int

	// Limit is the mean of all adaptive limits at the end of the bin. 0 = there are none.
	Limit float64
}

// tally collects a PolicyResult. It counts while things happen, because keeping every call would
// take more memory than the clients.
type tally struct {
	bin     time.Duration // the width of one
	bins    []Bin
	done    int // bins that have ended
	seconds []second
	latency [buckets]int64
	last    time.Duration // the end of the last call
	end     time.Duration // of the run
}

// second holds the counts by which recovery is judged.
type second struct{ begun, served, ended, ok uint32 }

// newTally has all bins from the start, since their number is known and bounded.
func newTally(s *Scenario) tally {
	return tally{
		bin: s.Bin, end: s.Duration,
		bins:    make([]Bin, (s.Duration+s.Bin-1)/s.Bin),
		seconds: make([]second, (s.Duration+time.Second-1)/time.Second),
	}
}

// current returns the first bin that has not ended, and its end; never, if all have ended.
func (t *tally) current() (*Bin, time.Duration) {
	if t.done == len(t.bins) {
		return nil, never
	}
	return &t.bins[t.done], min(time.Duration(t.done+1)*t.bin, t.end)
}

// at is the bin of a moment.
func (t *tally) at(now time.Duration) *Bin { return &t.bins[now/t.bin] }

// callBegan counts a call in the bin in which it begins.
func (t *tally) callBegan(now time.Duration) {
	t.at(now).Calls++
	t.seconds[now/time.Second].begun++
}

// callEnded counts a call in the bin in which it ends, and a success also in the bin in which it
// began. Only the second count shows which callers were served, because the answers of a long queue
// are for old calls.
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

// attempted counts an attempt at the server.
func (t *tally) attempted(now time.Duration, retry bool) {
	b := t.at(now)
	b.Attempts++
	if retry {
		b.Retries++
	}
}

// hedged counts a hedge, which is an attempt but not a retry.
func (t *tally) hedged(now time.Duration) {
	b := t.at(now)
	b.Attempts++
	b.Hedges++
}

// answered counts how an attempt at the server ended.
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

// recovery finds the first five good seconds after the trouble. Seconds without calls are skipped.
// A second is good only by both counts. A service that serves old calls while new ones time out has
// not recovered, and neither has one that serves new calls while old ones fail.
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
