package batch

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
)

// away is an outage in a batch with the default policy.
type away struct {
	name       string
	rows       int
	path       string        // empty = a generation
	from, to   time.Duration // of the outage
	fail       func(*http.Request) (*http.Response, error)
	permanent  bool          // without the outage, each row gets a 400
	poison     int           // one in that many rows always gets a 500; 0 = none
	first      int           // as many rows at the beginning do, too
	last       int           // and as many at the end
	inFlight   int           // at most; 0 = 64
	cooldown   time.Duration // of the policy's own breaker; 0 = the default policy
	code       int
	failed     int           // rows, at most
	lost       int           // attempts that failed, at most
	least, end time.Duration // how long the batch takes
}

func refused(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

var outages = []away{
	{name: "in the middle", rows: 2000, from: time.Second, to: 10 * time.Minute, fail: refused,
		lost: 250, least: 10 * time.Minute, end: 12 * time.Minute},
	{name: "503", rows: 2000, from: time.Second, to: 10 * time.Minute,
		fail: answering(503, "", ""), lost: 250, least: 10 * time.Minute, end: 12 * time.Minute},
	{name: "503 of orders, in doubt at once", rows: 2000, path: "/orders", from: time.Second,
		to: 10 * time.Minute, fail: answering(503, "", ""), code: exitFailed, failed: 200, lost: 200,
		least: 10 * time.Minute, end: 12 * time.Minute},
	{name: "rows that fail for good are answers, too", rows: 2000, from: time.Second,
		to: 10 * time.Minute, fail: refused, permanent: true, code: exitFailed, failed: 2000, lost: 250,
		least: 10 * time.Minute, end: 12 * time.Minute},
	{name: "bad rows are no outage", rows: 2000, poison: 10, code: exitFailed, failed: 200,
		lost: 1600, end: 2 * time.Minute},
	{name: "bad rows and an outage", rows: 2000, poison: 10, from: 3 * time.Second,
		to: 10 * time.Minute, fail: refused, code: exitFailed, failed: 200, lost: 1800,
		least: 10 * time.Minute, end: 12 * time.Minute},
	{name: "bad rows come first", rows: 2000, first: 300, code: exitFailed, failed: 300, lost: 2400,
		end: outage.First + 2*time.Minute},
	{name: "the last rows", rows: 240, from: 200 * time.Millisecond, to: 5 * time.Minute,
		fail: refused, lost: 200, least: 5 * time.Minute, end: 7 * time.Minute},
	{name: "never there", rows: 2000, to: 24 * time.Hour, fail: refused, code: exitFailed,
		failed: 2000, lost: 16000, least: outage.First, end: outage.First + 10*time.Minute},
	{name: "away for good", rows: 2000, from: time.Second, to: 24 * time.Hour, fail: refused,
		code: exitFailed, failed: 1999, lost: 16000, least: outage.Longest,
		end: outage.Longest + 10*time.Minute},
	{name: "away for good, one attempt", rows: 2000, from: time.Second, to: 24 * time.Hour,
		path: "/orders", fail: answering(503, "", ""), code: exitFailed, failed: 1999, lost: 2000,
		least: outage.Longest, end: outage.Longest + 5*time.Minute},
	{name: "never there, one at a time", rows: 100, inFlight: 1, to: 24 * time.Hour, fail: refused,
		code: exitFailed, failed: 100, lost: 800, least: outage.First, end: time.Hour},
	{name: "bad rows come last, one at a time", rows: 100, inFlight: 1, last: 30, code: exitFailed,
		failed: 30, lost: 240, end: outage.Longest + 30*time.Minute},
	{name: "never there, a cooldown of a day", rows: 300, to: 24 * time.Hour, cooldown: 24 * time.Hour,
		fail: refused, code: exitFailed, failed: 300, lost: 2400, least: outage.First, end: time.Hour},
	{name: "a dozen rows are no outage", rows: 12, to: time.Hour, fail: refused, code: exitFailed,
		failed: 12, lost: 96, end: 30 * time.Second},
}

// Rows wait for the end of an outage. Only its first failures and one probe for each cooldown use
// attempts.
func TestOutage(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, o.test)
	}
}

// isPoison reports whether req always fails.
func (o away) isPoison(req *http.Request) bool {
	var row int
	_, err := fmt.Fscanf(req.Body, `{"row":"r%d"}`, &row)
	return err != nil || row <= o.first || row > o.rows-o.last || o.poison > 0 && row%o.poison == 0
}

func (o away) test(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var good, bad atomic.Int64
		b := &bench{t: t, dir: t.TempDir()}
		b.o = Options{
			Input: filepath.Join(b.dir, "in.jsonl"), Output: filepath.Join(b.dir, "out.jsonl"),
			Base: &url.URL{Scheme: "https", Host: "api.example"}, Crash: true, Stdout: io.Discard,
			MaxInFlight: cmp.Or(o.inFlight, 64), First: -1,
			Transport: trip(func(req *http.Request) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				if since := time.Since(began); since >= o.from && since < o.to {
					bad.Add(1)
					return o.fail(req)
				}
				if o.isPoison(req) {
					bad.Add(1)
					return answering(500, "", "")(req)
				}
				good.Add(1)
				if o.permanent {
					return answering(400, "", "")(req)
				}
				return &http.Response{StatusCode: 200, Request: req,
					Body: io.NopCloser(strings.NewReader(`{"choices":[]}`))}, nil
			}),
		}
		if o.cooldown > 0 {
			b.o.Policy = quick()
			b.o.Policy.Breaker = &breaker.Breaker{Failures: 100, Cooldown: o.cooldown}
		}
		b.rows(o.rows, cmp.Or(o.path, generation), "")
		s := b.run(o.code)
		if took := time.Since(began); took < o.least || took > o.end {
			t.Errorf("it took %v, want %v to %v", took, o.least, o.end)
		}
		if n := int(bad.Load()); n > o.lost || s.Attempts != good.Load()+bad.Load() {
			t.Errorf("%d attempts counted, %d good ones and %d bad ones, want at most %d bad ones",
				s.Attempts, good.Load(), n, o.lost)
		}
		answered := s.Done
		if o.permanent {
			answered = s.Failed
		}
		if answered != int(good.Load()) || s.Failed > o.failed || s.Pending+s.InDoubt > 0 {
			t.Errorf("%d answers, at most %d failed rows; got %+v", good.Load(), o.failed, s)
		}
	})
}
