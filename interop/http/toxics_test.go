package http_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundhttp"
)

// poisoned starts a proxy in front of a server, and adds toxics in JSON to it.
func poisoned(t *testing.T, upstream string, toxics ...string) *toxiproxy.Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "p", "127.0.0.1:0", strings.TrimPrefix(upstream, "http://"))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	for _, toxic := range toxics {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatalf("%s: %v", toxic, err)
		}
	}
	return p
}

const (
	late    = `{"type": "latency", "attributes": {"latency": 400}}`
	resets  = `{"type": "reset_peer", "attributes": {"timeout": 0}}`
	cutHead = `{"type": "limit_data", "attributes": {"bytes": 20}}`
	cutBody = `{"type": "limit_data", "attributes": {"bytes": 5000}}`
	silent  = `{"type": "timeout", "attributes": {"timeout": 100}}`
	slow    = `{"type": "bandwidth", "attributes": {"rate": 10}}`
	sliced  = `{"type": "slicer", "attributes": {"average_size": 500, "size_variation": 400}}`
	// On its way to the server the request itself is lost.
	lost = `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`
)

var answer = bytes.Repeat([]byte("0123456789"), 2000)

// What a row expects of a call: how many requests the client made and the server got, why the call
// ended and with which kind of failure (Unknown: any), or after how many bytes the reading of the
// body failed.
var poisons = []struct {
	name, method, toxic string
	made, seen          int
	reason              rebound.Reason
	kind                fault.Kind
	read                int
}{
	{"nothing", "GET", "", 1, 1, "", 0, 20_000},
	{"sliced", "POST", sliced, 1, 1, "", 0, 20_000},
	{"late", "GET", late, 3, 3, rebound.Exhausted, fault.Transient, 0},
	{"late", "POST", late, 1, 1, rebound.NotIdempotent, fault.Transient, 0},
	{"reset", "GET", resets, 3, 3, rebound.Exhausted, fault.Transient, 0},
	{"reset", "PUT", resets, 3, 3, rebound.Exhausted, fault.Transient, 0},
	{"reset", "POST", resets, 1, 1, rebound.NotIdempotent, fault.Transient, 0},
	{"lost", "GET", lost, 3, 0, rebound.Exhausted, fault.Transient, 0},
	{"lost", "POST", lost, 1, 0, rebound.NotIdempotent, fault.Transient, 0},
	{"cut head", "GET", cutHead, 3, 3, rebound.Exhausted, fault.Unknown, 0},
	{"cut head", "POST", cutHead, 1, 1, rebound.NotIdempotent, fault.Unknown, 0},
	{"silent", "DELETE", silent, 3, 3, rebound.Exhausted, fault.Transient, 0},
	{"silent", "PATCH", silent, 1, 1, rebound.NotIdempotent, fault.Transient, 0},
	// What has been read cannot be repeated any more.
	{"cut body", "GET", cutBody, 1, 1, "", 0, 5000},
	{"slow body", "GET", slow, 1, 1, "", 0, 20_000},
	{"refused", "POST", "down", 3, 0, rebound.Exhausted, fault.Transient, 0},
	{"refused", "GET", "down", 3, 0, rebound.Exhausted, fault.Transient, 0},
}

func TestToxics(t *testing.T) {
	for _, tt := range poisons {
		t.Run(tt.method+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				seen.Add(1)
				w.Write(answer)
			}))
			defer srv.Close()
			var proxy *toxiproxy.Proxy
			switch tt.toxic {
			case "":
				proxy = poisoned(t, srv.URL)
			case "down":
				proxy = poisoned(t, srv.URL)
				proxy.Stop()
			default:
				proxy = poisoned(t, srv.URL, tt.toxic)
			}
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			start := time.Now()
			read, resp, err := call(base, tt.method, "http://"+proxy.Listen)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v, want an end within 5s", took)
			}
			made, reason := outcomeOf(resp, err)
			if made != tt.made || int(seen.Load()) != tt.seen || reason != tt.reason {
				t.Errorf("made %d requests, the server saw %d, %q; want %d, %d, %q (%v)",
					made, seen.Load(), reason, tt.made, tt.seen, tt.reason, err)
			}
			var e *rebound.Error
			if errors.As(err, &e) && e.Fault.Kind != tt.kind && tt.kind != fault.Unknown {
				t.Errorf("%+v, want %v", e.Fault, tt.kind)
			}
			if read > tt.read || resp != nil && read < tt.read/5 {
				t.Errorf("read %d bytes, want at most %d", read, tt.read)
			}
		})
	}
}

// call makes one request and reads as much as it can. A failure of the reading must be classified
// as transient.
func call(base http.RoundTripper, method, url string) (int, *http.Response, error) {
	tr := &reboundhttp.Transport{
		Base:             base,
		Policy:           &rebound.Policy{Backoff: backoff.Constant(0), AttemptTimeout: time.Second},
		FirstByteTimeout: 200 * time.Millisecond,
	}
	req, err := http.NewRequest(method, url, strings.NewReader("question"))
	if err != nil {
		return 0, nil, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if f := fault.Of(err); err != nil && f.Kind != fault.Transient {
		return len(body), resp, errors.New("the reading failed with " + f.Kind.String())
	}
	return len(body), resp, nil
}
