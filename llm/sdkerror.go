package llm

import (
	"net/http"
	"reflect"

	"github.com/rebound-go/rebound/internal/errtree"
	"github.com/rebound-go/rebound/reboundhttp"
)

// answer is a provider's answer as an error holds it.
type answer struct {
	report
	resp *http.Response // nil if the error does not keep it
}

// findAnswer finds the outermost error in err's tree that keeps an answer.
func findAnswer(err error) (a answer, found bool) {
	errtree.Find(err, func(err error) bool {
		a, found = answerIn(err)
		return found
	})
	return a, found
}

// answerIn reads one error: by its type if the type is from this module, otherwise by its shape.
// The SDKs are not imported, because each would become a dependency of every user of this package.
func answerIn(err error) (answer, bool) {
	switch e := err.(type) {
	case *reboundhttp.StatusError:
		return answer{resp: e.Response, report: ofResponse(e.Response, e.Body)}, true
	// A stream that broke without an event has nothing of the provider's to read.
	case *StreamError:
		return answer{report: parse(e.Event.Data)}, len(e.Event.Data) > 0
	case interface{ ErrorCode() string }: // of AWS, whose status fault.Of has read
		r := report{codes: []string{e.ErrorCode()}}
		if m, ok := err.(interface{ ErrorMessage() string }); ok {
			r.text = m.ErrorMessage()
		}
		return answer{report: r}, true
	}
	v := reflect.Indirect(reflect.ValueOf(err))
	if v.Kind() != reflect.Struct {
		return answer{}, false
	}
	// OpenAI's and Anthropic's generated SDKs keep the raw body beside the response, which they have
	// read to its end.
	if e, ok := err.(interface{ RawJSON() string }); ok {
		resp, _ := field(v, "Response").(*http.Response)
		return answer{resp: resp, report: ofResponse(resp, []byte(e.RawJSON()))}, true
	}
	// ssestream.StreamError of the same SDKs: an error event inside a stream.
	if data, ok := field(indirect(v, "Event"), "Data").([]byte); ok {
		return answer{report: parse(data)}, true
	}
	return google(v)
}

// google reads genai.APIError, which keeps no response. Both fields are required, because a field
// called Code alone is common.
func google(v reflect.Value) (answer, bool) {
	code, ok := field(v, "Code").(int)
	status, isText := field(v, "Status").(string)
	if !ok || !isText {
		return answer{}, false
	}
	r := report{status: code, codes: []string{status}}
	r.text, _ = field(v, "Message").(string)
	details, _ := field(v, "Details").([]map[string]any)
	for _, d := range details {
		r.details = append(r.details, d)
	}
	return answer{report: r}, true
}

// field is the value of an exported field, or nil if v is not a struct with that field.
func field(v reflect.Value, name string) any {
	f := indirect(v, name)
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	return f.Interface()
}

// indirect is field as a reflect.Value. It exists because FieldByName panics on anything but a
// struct.
func indirect(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}
