package llm

import (
	"net/http"
	"slices"
	"strings"

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

// IsAccount reports whether err is a fault of the account and not of the request: a key that is
// missing, wrong or not allowed to do this, money or a quota that is used up. Every other request
// of the account meets it, too. A limit that passes, a model that does not exist, and content that
// is rejected are none.
func IsAccount(err error) bool {
	f := Classify(err)
	if f.Kind != fault.Permanent {
		return false
	}
	a, _ := findAnswer(err)
	status := a.status
	if a.resp != nil {
		status = a.resp.StatusCode
	}
	denied := isDenied(status) || slices.Contains(deniedDetails, f.Detail)
	for _, code := range a.codes {
		g, status := fault.Code(code)
		switch {
		case g.Kind != fault.Permanent:
			denied = denied || isDenied(status)
		case isDenied(status) || status == http.StatusTooManyRequests:
			return true
		default: // a fault of the request
			return false
		}
	}
	spent := a.limited(fault.Fault{}, fault.Fault{}, nil)
	return strings.HasSuffix(f.Detail, quotaSpent) || strings.HasSuffix(spent.Detail, quotaSpent) ||
		denied && !a.isModerated()
}

// quotaSpent is how fault.Of ends the detail of a limit that does not pass.
const quotaSpent = ", quota spent"

// isDenied reports whether a status is about who asks, or who pays.
func isDenied(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden,
		http.StatusProxyAuthRequired:
		return true
	}
	return false
}

// deniedDetails are what fault.Of returns for such an error without a body.
var deniedDetails = []string{
	"status 401", "status 402", "status 403", "status 407",
	"grpc UNAUTHENTICATED", "grpc PERMISSION_DENIED",
}
