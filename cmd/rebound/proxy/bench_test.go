//go:build unix

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is one of several that a benchmark compares.
type server struct {
	*child
	name string
	took []time.Duration
}

// at returns how long a share of the requests took at most, in µs.
func (s *server) at(share float64) float64 {
	slices.Sort(s.took)
	return float64(s.took[int(share*float64(len(s.took)-1))].Nanoseconds()) / 1000
}

// compare reports the median and the 99th percentile of the first server, which is the API, and how
// much more the others take.
func compare(b *testing.B, servers []*server) {
	b.ReportMetric(0, "ns/op")
	for i, s := range servers {
		p50, p99, sign := s.at(0.5), s.at(0.99), ""
		if i > 0 {
			p50, p99, sign = p50-servers[0].at(0.5), p99-servers[0].at(0.99), "+"
		}
		b.ReportMetric(p50, sign+s.name+"-p50-µs")
		b.ReportMetric(p99, sign+s.name+"-p99-µs")
	}
}

// servers are an API, and in front of it, each in its own process: a forwarder of bytes, a bare
// httputil.ReverseProxy, and the proxy.
func servers(b *testing.B) []*server {
	all := []*server{{child: begin(b, "api", ""), name: "api"}}
	for _, as := range []string{"bytes", "bare", "proxy"} {
		all = append(all, &server{child: begin(b, as, all[0].url), name: as})
	}
	return all
}

// BenchmarkOverhead sends 2,000 requests a second to each of the servers, in turn for a tenth of a
// second, so that all of them have the same share of the machine.
func BenchmarkOverhead(b *testing.B) {
	const turn = 200 // requests
	all := servers(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	took := make([][]time.Duration, len(all))
	rounds := b.N/turn + 2
	for k := range all {
		took[k] = make([]time.Duration, rounds*turn)
	}
	cpu := make([]time.Duration, len(all))
	for k, s := range all {
		cpu[k] = s.report(b, false).cpu
	}
	b.ResetTimer()
	for round := range rounds {
		for k, s := range all {
			var wg sync.WaitGroup
			begin := time.Now()
			for i := range turn {
				<-time.After(time.Until(begin.Add(time.Duration(i) * 500 * time.Microsecond)))
				wg.Go(func() { took[k][round*turn+i] = once(b, client, s.url) })
			}
			wg.Wait()
		}
	}
	for k, s := range all {
		s.took = took[k][turn:] // without those that dial
		if k > 0 {
			used := s.report(b, false).cpu - cpu[k]
			b.ReportMetric(float64(used.Microseconds())/float64(rounds*turn), s.name+"-cpu-µs")
		}
	}
	compare(b, all)
}

// once is how long a request takes.
func once(b *testing.B, client *http.Client, url string) time.Duration {
	const body = `{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}`
	req, _ := http.NewRequest("POST", url+chat, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer sk-123456789")
	req.Header.Set("Content-Type", "application/json")
	sent := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return time.Since(sent)
}

// BenchmarkFirstEvent measures from the moment at which the API writes the first event of a stream
// to the moment at which the client has it.
func BenchmarkFirstEvent(b *testing.B) {
	all := servers(b)
	for i := range b.N {
		for _, s := range all {
			stream, err := openStream(b.Context(), http.DefaultClient, s.url, i)
			if err != nil {
				b.Fatal(err)
			}
			now := time.Now().UnixNano()
			sent, err := strconv.ParseInt(strings.TrimPrefix(stream.first, "id: "), 10, 64)
			if err != nil {
				b.Fatal(fmt.Errorf("the first line is %q: %w", stream.first, err))
			}
			s.took = append(s.took, time.Duration(now-sent))
			_ = stream.Close()
		}
	}
	compare(b, all)
}
