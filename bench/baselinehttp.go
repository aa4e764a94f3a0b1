package bench

import (
	"io"
	"net/http"
)

const handWritten = "hand-written transport of 15 lines"

// httpFloors are the hand-written HTTP clients.
var httpFloors = []Entry{
	{"http_stub_ok", "floor", Floor, "bare http.Client", nil, bareClient, nil},
	{"http_loop_ok", "floor", Floor, "bare http.Client", nil, bareClient, nil},
	{"http_stub_ok", "floor+retry", Floor, handWritten, nil, retryingClient, nil},
	{"http_stub_503", "floor", Floor, handWritten, nil, retryingClient, nil},
	{"http_loop_503", "floor", Floor, handWritten, nil, retryingClient, nil},
}

func bareClient(t http.RoundTripper) Doer { return (&http.Client{Transport: t}).Do }

func retryingClient(t http.RoundTripper) Doer {
	return (&http.Client{Transport: retrying{t}}).Do
}

type retrying struct{ next http.RoundTripper }

func (t retrying) RoundTrip(r *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := t.next.RoundTrip(r)
		if attempt == 2 || (err == nil && resp.StatusCode < 500) {
			return resp, err
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
			_ = resp.Body.Close()
		}
		if err := sleep(r.Context(), 0); err != nil {
			return nil, err
		}
	}
}
