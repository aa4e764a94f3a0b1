package fault

import (
	"reflect"
	"time"
)

// answerShape says where an SDK's error keeps the HTTP response that it was made from.
type answerShape struct {
	response       field // Response *http.Response or the like, of openai, anthropic, go-github
	status, header field // inside the response
	code, headers  field // StatusCode int, Header http.Header: of the error itself
	codes          []field
	details        field // Details []any, of Google's clients
	message        field
	method         func(error) int
}

// readAnswer reads errors made from an HTTP response: the response if the error keeps it, else the
// status, and the provider's own code.
func readAnswer(t reflect.Type) reader {
	if isErrno(t) || base(t).PkgPath() == "" {
		return nil
	}
	var s answerShape
	s.findResponse(t)
	s.findStatus(t)
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

// findStatus finds a status in the error itself. A field called Code may be anything, unless there
// is a Status beside it, as in genai.APIError, or a Header, as in googleapi.Error.
func (s *answerShape) findStatus(t reflect.Type) {
	s.headers = fieldOf(t, "Header", isHeader)
	s.details = fieldOf(t, "Details", func(t reflect.Type) bool { return t.Kind() == reflect.Slice })
	s.message = fieldOf(t, "Message", isText)
	switch {
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
	if s.code == nil && (s.headers != nil || fieldOf(t, "Status", isText) != nil) {
		s.code = fieldOf(t, "Code", isInt)
	}
}

// read puts the parts together. A status below 400, as of a stream that broke after a 200, is no
// finding, but the provider's code beside it may be one.
func (s *answerShape) read(err error) finding {
	status, head := s.answer(err)
	f := finding{}
	if status >= 400 {
		f = found(Response(status, head, time.Now()))
		f.flags = statusFlags(status)
	}
	for _, field := range s.codes {
		if text := field.text(err); text != "" {
			if g := findCode(text); g.rank > f.rank {
				g.after, g.flags = f.after, g.flags|f.flags
				f = g
			}
		}
	}
	if f.kind != RateLimited {
		return f
	}
	f = addDetails(f, s.detailsOf(err))
	_, _, stated := requested(head, time.Now())
	return readLimit(f, s.message.text(err), stated)
}

// answer gives the status, 0 if it is not known, and the header.
func (s *answerShape) answer(err error) (int, map[string][]string) {
	if r := s.response.of(err); r.IsValid() && !(r.Kind() == reflect.Pointer && r.IsNil()) {
		return number(s.status.in(r)), header(s.header.in(r))
	}
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

func statusFlags(status int) flags {
	if status == 408 || status == 504 {
		return timeout
	}
	return 0
}

// readWait reads the wait that an error keeps in a field or gives by a method called RetryAfter:
// those of Slack's and GitHub's clients. It says nothing but that a limit was hit.
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
