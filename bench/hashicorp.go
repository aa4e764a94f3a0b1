package bench

import (
	"context"
	"net/http"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	hashicorpStd  = "StandardClient: two http.Clients"
	hashicorpBare = "retryablehttp.Client.Do, no http.Client around it"
)

var hashicorpEntries = []Entry{
	{"http_stub_ok", "hashicorp", Peer, hashicorpStd, nil, hashicorpClient, nil},
	{"http_stub_503", "hashicorp", Peer, hashicorpStd, nil, hashicorpClient, nil},
	{"http_loop_ok", "hashicorp", Peer, hashicorpStd, nil, hashicorpClient, nil},
	{"http_loop_503", "hashicorp", Peer, hashicorpStd, nil, hashicorpClient, nil},
	{"http_stub_ok", "hashicorp-direct", Peer, hashicorpBare, nil, hashicorpDirect, nil},
	{"http_stub_503", "hashicorp-direct", Peer, hashicorpBare, nil, hashicorpDirect, nil},
	{"http_loop_ok", "hashicorp-direct", Peer, hashicorpBare, nil, hashicorpDirect, nil},
	{"http_loop_503", "hashicorp-direct", Peer, hashicorpBare, nil, hashicorpDirect, nil},
	{"delay", "hashicorp", Peer, "linear, a new random source per call", func() Op {
		return func(_ context.Context, id int) (int, error) {
			return int(retryablehttp.LinearJitterBackoff(baseDelay, maxDelay, id&7, nil)), nil
		}
	}, nil, nil},
	{"delay", "hashicorp-nojitter", Reference, "exponential without jitter", func() Op {
		return func(_ context.Context, id int) (int, error) {
			return int(retryablehttp.DefaultBackoff(baseDelay, maxDelay, id&7, nil)), nil
		}
	}, nil, nil},
}

func newHashicorp(t http.RoundTripper) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: t}
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, 0, 0
	return c
}

func hashicorpClient(t http.RoundTripper) Doer { return newHashicorp(t).StandardClient().Do }

func hashicorpDirect(t http.RoundTripper) Doer {
	c := newHashicorp(t)
	return func(r *http.Request) (*http.Response, error) {
		wrapped, err := retryablehttp.FromRequest(r)
		if err != nil {
			return nil, err
		}
		return c.Do(wrapped)
	}
}
