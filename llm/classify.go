package llm

import (
	"net/http"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Classify returns what the error of a call to a language model means. It adds the provider's own
// error codes to what fault.Of reads. They outrank the status that came with them. Classify finds
// them in the body of a [reboundhttp.StatusError], and in the errors of the SDKs of OpenAI,
// Anthropic, Google and AWS.
//
// A quota, a credit or a spending limit that is used up is Permanent. So is a request that is too
// large for the model, or for the limit itself. A limit that passes is RateLimited, with the delay
// that the body asks for if no header does. A body that cannot be read, or has no known code,
// leaves the meaning of the status.
//
// An error that an SDK made of a response that a [Transport] had given up on is Final if the
// request was repeated. Marks outrank all this.
func Classify(err error) fault.Fault {
	f := fault.Of(err)
	// The caller's end and the caller's own mark outrank whatever the provider sent.
	if f.Kind == fault.Canceled || mark.On(err) {
		return f
	}
	a, found := findAnswer(err)
	if !found {
		return f
	}
	var header http.Header
	if a.resp != nil {
		header = a.resp.Header
		// An SDK's error may have lost that a Transport gave up; the response has it still.
		base := reboundhttp.Fault(a.resp, nil)
		base.Final = base.Final || f.Final
		f = conflict(base, a.resp)
	}
	f = a.overrule(f, header)
	f.Err = err
	return f
}

// conflict is f, except that a 409 to a generation, which creates nothing that could be in
// conflict, is a lock that could not be had in time, as the APIs of OpenAI and Anthropic use it.
func conflict(f fault.Fault, resp *http.Response) fault.Fault {
	if resp.StatusCode == http.StatusConflict && f.Kind == fault.Permanent &&
		!forbidden(resp.Header) && resp.Request != nil && IsGeneration(resp.Request) {
		f.Kind = fault.Transient
	}
	return f
}
