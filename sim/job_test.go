package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// TestJobOfWorkers is the job in docs/limits.md: 64 workers have 6400 rows for an API of 50
// requests a second. If each worker retries for itself, the server rejects more attempts than it
// serves, and rows are lost. Behind one rate limit, which all workers share, the job takes as long
// and loses none. A limit that is set a fifth too high learns the rest from the answers' headers.
func TestJobOfWorkers(t *testing.T) {
	const allowed, rows = 50, 6400
	pace := func(n float64) *rebound.Policy {
		return &rebound.Policy{Gates: []gate.Gate{&limit.Rate{N: n, Wait: time.Minute}}}
	}
	for _, c := range []struct {
		name    string
		p       *rebound.Policy
		headers bool
		lost    int64   // at least; 0 = none may be
		refused float64 // attempts a row: at least if rows are lost, else at most
	}{
		{"each for itself", &rebound.Policy{}, false, rows / 10, 1},
		{"too fast", pace(60), false, 10, 0.1},
		{"paced", pace(50), false, 0, 0},
		{"paced by headers", pace(60), true, 0, 0.02},
	} {
		for _, bucket := range []bool{false, true} {
			for seed := range uint64(10) {
				s := Scenario{
					Seed: seed, Duration: 10 * time.Minute,
					Clients: Clients{Count: 64, Calls: rows / 64, Processes: 1},
					Server: Server{
						Service: Dist{Mean: 200 * ms},
						Limit:   Limit{Requests: allowed, Bucket: bucket, Headers: c.headers},
					},
				}
				r := play(t, s, c.p)
				perSecond := float64(r.OK) / r.End.Seconds()
				refused := float64(r.Throttled) / rows
				bad := r.Failed > 0 || refused > c.refused || perSecond < 0.8*allowed
				if c.lost > 0 {
					bad = r.Failed < c.lost || refused < c.refused
				}
				if bad || r.Calls != rows || r.Unfinished > 0 || r.Rejected > 0 {
					t.Errorf("%s, bucket %v, seed %d: %.1f rows a second, %.3f rejections a row, %+v",
						c.name, bucket, seed, perSecond, refused, r.Counts)
				}
				if seed == 0 {
					t.Logf("%s, bucket %v: %.1f rows a second, %d lost, %.3f rejections a row, %v",
						c.name, bucket, perSecond, r.Failed, refused, r.End.Round(time.Second))
				}
			}
		}
	}
}
