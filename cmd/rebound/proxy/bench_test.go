//go:build unix

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// report shows the median and the 99th percentile of what was measured, in µs.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	micros := func(i int) float64 { return float64(took[i].Nanoseconds()) / 1000 }
	b.ReportMetric(micros(len(took)/2), "p50-µs")
	b.ReportMetric(micros(len(took)*99/100), "p99-µs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOverhead sends 2,000 requests a second to an API that answers at once, and through a
// proxy in the same process.
func BenchmarkOverhead(b *testing.B) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "Hello!"}}]}`)
	})
	r := start(b, api, func(o *Options) { o.Log = nil })
	direct := httptest.NewServer(api)
	defer direct.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	for _, to := range []struct{ name, url string }{{"direct", direct.URL}, {"proxy", r.url}} {
		b.Run(to.name, func(b *testing.B) {
			took := make([]time.Duration, b.N)
			var wg sync.WaitGroup
			begin := time.Now()
			for i := range b.N {
				<-time.After(time.Until(begin.Add(time.Duration(i) * 500 * time.Microsecond)))
				wg.Go(func() {
					sent := time.Now()
					resp, err := client.Post(to.url+chat, "application/json", strings.NewReader("{}"))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					took[i] = time.Since(sent)
				})
			}
			wg.Wait()
			report(b, took)
		})
	}
}

// BenchmarkFirstEvent measures from the moment at which the API writes the first event of a stream
// to the moment at which the client has it.
func BenchmarkFirstEvent(b *testing.B) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "id: %d\n%s", time.Now().UnixNano(), event)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r := start(b, api, func(o *Options) { o.Log = nil })
	target := r.o.Routes[0].Target.String()
	for _, to := range []struct{ name, url string }{{"direct", target}, {"proxy", r.url}} {
		b.Run(to.name, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			for range b.N {
				through := &running{url: to.url}
				stream, err := through.open(b.Context(), http.DefaultClient)
				if err != nil {
					b.Fatal(err)
				}
				id := strings.TrimPrefix(stream.first, "id: ")
				sent, err := strconv.ParseInt(id, 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Duration(time.Now().UnixNano()-sent))
				_ = stream.Close()
			}
			report(b, took)
		})
	}
}
