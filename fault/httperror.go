package fault

import (
	"reflect"
	"time"
)

// answerShape holds the places in an SDK's error of the HTTP response that it was made from. It is
// made once for each type. A nil field means that the type has no such place.
type answerShape struct {
	response       field // Response *http.Response or a similar type, of openai, anthropic, go-github
	status, header field // inside the response
	code, headers  field // StatusCode int, Header http.Header: of the error itself
	codes          []field
	details        field // Details []any, of Google's clients
	message        field
	method         func(error) int
}

// readAnswer reads errors that were made from an HTTP response. It prefers the response itself, if
// the error keeps it, because its headers hold the Retry-After delay. Otherwise it reads the
// status. It also reads the provider's own code.
func readAnswer(t reflect.Type) reader {
	// Unnamed types have no documented fields. System error numbers have a reader already.
	if isErrno(t) || base(t).PkgPath() == "" {
		return nil
	}
	var s answerShape
	s.findResponse(t)
	s.findStatus(t)
	// OpenAI's errors have both a code and a type, and either may be empty. All are kept, and the one
	// that means most decides.
	for _, name := range []string{"Code", "Type", "ErrorCode"} {
		if f := fieldOf(t, name, isText); f != nil {
			s.codes = append(s.codes, f)
		}
	}
	if s.response == nil && s.code == nil && s.method == nil && s.codes == nil {
		return nil
	}
	return s.read
}

// findResponse finds a field that holds an *http.Response or a type of the same shape. The type of
// the field is checked as well, since a Response may also be a decoded body.
func (s *answerShape) findResponse(t reflect.Type) {
	isResponse := func(t reflect.Type) bool {
		return fieldOf(t, "StatusCode", isInt) != nil && fieldOf(t, "Header", isHeader) != nil
	}
	for _, name := range []string{"Response", "RawResponse", "HTTPResponse", "Resp"} {
		if f := fieldOf(t, name, isResponse); f != nil {
			r := base(t).FieldByIndex(f).Type
			s.response = f
			s.status, s.header = fieldOf(r, "StatusCode", isInt), fieldOf(r, "Header", isHeader)
			return
		}
	}
}

// findStatus finds a status in the error itself. A field called Code may hold anything. It counts
// as a status only beside a Status, as in genai.APIError, or a Header, as in googleapi.Error.
func (s *answerShape) findStatus(t reflect.Type) {
	s.headers = fieldOf(t, "Header", isHeader)
	s.details = fieldOf(t, "Details", func(t reflect.Type) bool { return t.Kind() == reflect.Slice })
	s.message = fieldOf(t, "Message", isText)
	switch {
	// A method outranks a field, because it also answers for errors that embed the response.
	case has[interface{ HTTPStatusCode() int }](t):
		s.method = func(err error) int {
			return err.(interface{ HTTPStatusCode() int }).HTTPStatusCode()
		}
	case has[interface{ StatusCode() int }](t):
		s.method = func(err error) int { return err.(interface{ StatusCode() int }).StatusCode() }
	}
	for _, name := range []string{"StatusCode", "HTTPStatusCode"} {
		if s.code == nil {
			s.code = fieldOf(t, name, isInt)
		}
	}
	// Without such a neighbour, Code may be the number of a database or a process.
	if s.code == nil && (s.headers != nil || fieldOf(t, "Status", isText) != nil) {
		s.code = fieldOf(t, "Code", isInt)
	}
}

// read combines the parts. A status below 400 is not a finding, since it belongs to a stream that
// broke after a 200. The provider's code may still be a finding.
func (s *answerShape) read(err error) finding {
	status, head := s.answer(err)
	f := finding{}
	if status >= 400 {
		f = found(Response(status, head, time.Now()))
		f.flags = statusFlags(status)
	}
	for _, field := range s.codes {
		if text := field.text(err); text != "" {
			// The delay in the headers and the timeout flag of the status still hold.
			if g := findCode(text); g.rank > f.rank {
				g.after, g.flags = f.after, g.flags|f.flags
				f = g
			}
		}
	}
	// Texts are searched for quotas and delays only after a rate limit. Elsewhere such words are
	// advice.
	if f.kind != RateLimited {
		return f
	}
	f = addDetails(f, s.detailsOf(err))
	// A header is exact. The delay in the text is often rounded, so it counts only without a header.
	_, _, stated := requested(head, time.Now())
	return readLimit(f, s.message.text(err), stated)
}

// answer returns the status, or 0 if it is not known, and the header.
func (s *answerShape) answer(err error) (int, map[string][]string) {
	// SDKs leave the response nil when the connection failed before one arrived.
	if r := s.response.of(err); r.IsValid() && !(r.Kind() == reflect.Pointer && r.IsNil()) {
		return number(s.status.in(r)), header(s.header.in(r))
	}
	// A method may compute the status from more than the field, so it overrides it.
	status := s.code.number(err)
	if s.method != nil {
		status = s.method(err)
	}
	return status, header(s.headers.of(err))
}

// detailsOf returns the details of Google's errors.
func (s *answerShape) detailsOf(err error) (details []any) {
	v := s.details.of(err)
	for i := 0; v.IsValid() && i < v.Len(); i++ {
		details = append(details, v.Index(i).Interface())
	}
	return details
}

// statusFlags marks the statuses that report a timeout, for IsTimeout.
func statusFlags(status int) flags {
	if status == 408 || status == 504 {
		return timeout
	}
	return 0
}

// readWait reads the delay in a field or from a method called RetryAfter, which the errors of
// Slack's and GitHub's clients have. Such an error shows only that a limit was reached, so the
// finding is weak.
func readWait(t reflect.Type) reader {
	isWait := func(t reflect.Type) bool { return base(t) == reflect.TypeFor[time.Duration]() }
	f := fieldOf(t, "RetryAfter", isWait)
	method := has[interface{ RetryAfter() time.Duration }](t)
	if f == nil && !method {
		return nil
	}
	return func(err error) finding {
		var wait time.Duration
		if method {
			wait = err.(interface{ RetryAfter() time.Duration }).RetryAfter()
		} else if v := reflect.Indirect(f.of(err)); v.IsValid() {
			wait = time.Duration(v.Int())
		}
		if wait <= 0 {
			return finding{}
		}
		return finding{rank: weak, kind: RateLimited, after: wait, detail: "retry after"}
	}
}
