package fault_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

var quiet = log.New(io.Discard, "", 0)

// h2Code and the errors with it are like those of net/http and x/net/http2.
type h2Code uint32

type h2StreamError struct {
	StreamID uint32
	Code     h2Code
	Cause    error
}

func (e h2StreamError) Error() string { return "stream error" }

type h2GoAwayError struct {
	LastStreamID uint32
	ErrCode      h2Code
	DebugData    string
}

func (e h2GoAwayError) Error() string { return "goaway" }

type h2ConnectionError h2Code

func (e h2ConnectionError) Error() string { return "connection error" }

func TestHTTP2(t *testing.T) {
	check(t, []row{
		{"refused stream", get(h2StreamError{StreamID: 1, Code: 7}),
			fault.Transient, fault.NotSent, "http2 stream error 7"},
		{"calm", h2StreamError{Code: 11}, fault.Overloaded, fault.MaybeDone, ""},
		{"cancel", h2StreamError{Code: 8}, fault.Transient, fault.MaybeDone, ""},
		{"internal", &h2StreamError{Code: 2}, fault.Transient, fault.MaybeDone, ""},
		{"use HTTP/1.1", h2StreamError{Code: 13}, fault.Permanent, fault.MaybeDone, ""},
		{"goaway", h2GoAwayError{}, fault.Transient, fault.MaybeDone, "http2 goaway 0"},
		{"goaway calm", h2GoAwayError{ErrCode: 11}, fault.Overloaded, fault.MaybeDone, ""},
		{"connection", h2ConnectionError(1), fault.Transient, fault.MaybeDone,
			"http2 connection error 1"},
	})
}

// TestRealHTTP2 has a handler abort its stream.
func TestRealHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	s.StartTLS()
	defer s.Close()
	err := fetch(t.Context(), s.Client(), s.URL)
	f := fault.Of(err)
	if want := "http2 stream error 2"; f.Kind != fault.Transient || f.Detail != want {
		t.Errorf("Of(%v) = %v %q, want transient %q", err, f.Kind, f.Detail, want)
	}
}
