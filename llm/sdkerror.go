package llm

import (
	"net/http"
	"reflect"

	"github.com/rebound-go/rebound/reboundhttp"
)

// evidence is what an error keeps of a provider's answer.
type evidence struct {
	report
	resp *http.Response // nil if the error does not keep it
}

const maxNodes = 100 // of an error's tree, which may have cycles

// look finds the outermost error in err's tree that keeps an answer. Methods of foreign errors may
// panic, in which case there is none.
func look(err error) (e evidence, found bool) {
	defer func() {
		if recover() != nil {
			e, found = evidence{}, false
		}
	}()
	left := maxNodes
	return lookIn(err, &left)
}

func lookIn(err error, left *int) (evidence, bool) {
	for ; err != nil && *left > 0; *left-- {
		if e, ok := answerIn(err); ok {
			return e, true
		}
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			err = w.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range w.Unwrap() {
				if e, ok := lookIn(inner, left); ok {
					return e, true
				}
			}
			return evidence{}, false
		default:
			return evidence{}, false
		}
	}
	return evidence{}, false
}

// answerIn reads one error, by its type if it is ours, else by its shape.
func answerIn(err error) (evidence, bool) {
	switch e := err.(type) {
	case *reboundhttp.StatusError:
		return evidence{resp: e.Response, report: ofResponse(e.Response, e.Body)}, true
	case *StreamError:
		return evidence{report: parse(e.Event.Data)}, len(e.Event.Data) > 0
	case interface{ ErrorCode() string }: // of AWS, whose status fault.Of has read
		return evidence{report: report{words: []string{e.ErrorCode()}}}, true
	}
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return evidence{}, false
	}
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct {
		return evidence{}, false
	}
	if e, ok := err.(interface{ RawJSON() string }); ok { // *openai.Error, *anthropic.Error
		resp, _ := field(v, "Response").(*http.Response)
		return evidence{resp: resp, report: ofResponse(resp, []byte(e.RawJSON()))}, true
	}
	if data, ok := field(indirect(v, "Event"), "Data").([]byte); ok { // *ssestream.StreamError
		return evidence{report: parse(data)}, true
	}
	return google(v)
}

// google reads genai.APIError, which keeps no response.
func google(v reflect.Value) (evidence, bool) {
	code, ok := field(v, "Code").(int)
	status, isText := field(v, "Status").(string)
	if !ok || !isText {
		return evidence{}, false
	}
	r := report{status: code, words: []string{status}}
	r.text, _ = field(v, "Message").(string)
	details, _ := field(v, "Details").([]map[string]any)
	for _, d := range details {
		r.details = append(r.details, d)
	}
	return evidence{report: r}, true
}

// field is the value of an exported field; nil if v is no struct that has it.
func field(v reflect.Value, name string) any {
	f := indirect(v, name)
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	return f.Interface()
}

func indirect(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}
