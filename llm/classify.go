package llm

import (
	"net/http"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Classify says what the error of a call to a language model means. It knows what fault.Of knows,
// and reads the provider's own words, which outrank the status that came with them: those in the
// body of a [reboundhttp.StatusError], and those in the errors of the SDKs of OpenAI, Anthropic,
// Google and AWS.
//
// A quota, a credit or a spending limit that is used up is Permanent, and so is a request that is
// too large for the model or for the limit itself; a limit that passes is RateLimited, with the
// wait that the body asks for if no header does. A body that cannot be read, or that says nothing
// known, leaves what the status says.
//
// An error that an SDK made of a response that a [Transport] had given up on is Final if the
// request was repeated. Marks outrank all this.
func Classify(err error) fault.Fault {
	f := fault.Of(err)
	if f.Kind == fault.Canceled || mark.On(err) {
		return f
	}
	e, found := look(err)
	if !found {
		return f
	}
	var header http.Header
	if e.resp != nil {
		header = e.resp.Header
		base := reboundhttp.Fault(e.resp, nil)
		base.Final = base.Final || f.Final
		f = locked(base, e.resp)
	}
	f = e.over(f, header)
	f.Err = err
	return f
}

// locked is f, save that a 409 to a generation, which creates nothing that could be in conflict, is
// a lock that was not to be had in time, as the APIs of OpenAI and Anthropic use it.
func locked(f fault.Fault, resp *http.Response) fault.Fault {
	if resp.StatusCode == http.StatusConflict && f.Kind == fault.Permanent &&
		told(resp.Header) == "" && resp.Request != nil && Generation(resp.Request) {
		f.Kind = fault.Transient
	}
	return f
}

// over returns f, which is what a response's status and headers mean, corrected by what its body
// says.
func (r report) over(f fault.Fault, h http.Header) fault.Fault {
	if f.Kind == fault.None || f.Kind == fault.Unknown { // the 200 of a stream, or nothing
		f = sameAs(f, fault.Status(r.guess()))
	}
	g := r.spoken(f)
	refused := f.Kind == fault.Permanent && !f.Final && told(h) == "false"
	if g.Kind == fault.Unknown || refused && g.Kind != fault.Permanent {
		g = f
	}
	if f.After == 0 && !asks(h) {
		f.After = g.After
		if f.After == 0 && g.Kind == fault.RateLimited {
			f.After = waitIn(r.text)
		}
	}
	return sameAs(f, g)
}

// sameAs is f with the kind of g, and why.
func sameAs(f, g fault.Fault) fault.Fault {
	f.Kind, f.Detail = g.Kind, g.Detail
	if f.Sent != fault.NotSent {
		f.Sent = g.Sent
	}
	return f
}

// told is what the server itself says of repeating the request.
func told(h http.Header) string {
	if v := h.Get("X-Should-Retry"); v != "" {
		return v
	}
	return h.Get("Stripe-Should-Retry")
}

// asks reports whether a header asks for a wait, be it a valid one or not.
func asks(h http.Header) bool {
	for _, name := range [...]string{"Retry-After-Ms", "Retry-After", "X-Amz-Retry-After"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}
