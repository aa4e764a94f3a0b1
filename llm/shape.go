package llm

import (
	"cmp"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/rebound-go/rebound/fault"
)

// answerError is an answer that is unusable in spite of its good status.
type answerError struct {
	what string
	err  error
}

func (e *answerError) Error() string { return "llm: the answer " + e.what }
func (e *answerError) Unwrap() error { return e.err }

// DescribeFault makes it Transient, like a broken connection. The usual cause is a gateway, or a
// server that was stopped in the middle.
func (e *answerError) DescribeFault() fault.Fault {
	return fault.Fault{Kind: fault.Transient, Detail: "no answer"}
}

var (
	errBlank = &answerError{"is empty", io.ErrUnexpectedEOF}
	errHalf  = &answerError{"is incomplete", io.ErrUnexpectedEOF}
	errPage  = &answerError{"is an HTML page", nil}
)

// answerShape is how an answer has to be read.
type answerShape uint8

const (
	shapeOpaque   answerShape = iota // not read: sound, pictures, an unknown encoding
	shapeDocument                    // a JSON value
	shapePieces                      // several JSON values, passed on as they arrive
	shapeEvents                      // a stream of events
)

var (
	// lineTypes are the media types of JSON lines.
	lineTypes = []string{
		"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
		"application/x-jsonlines", "application/stream+json",
	}
	// vagueTypes are media types under which a body may be anything, including JSON.
	vagueTypes = []string{"", "text/plain", "text/html", "application/octet-stream"}

	// fieldName matches the first line of a stream of events, a comment included.
	fieldName = regexp.MustCompile(`^(?:data|event|id|retry|error)?:`)
)

// shapeOf determines how an answer has to be read, from its type and the beginning of its body. The
// body decides if the two differ, because many gateways set a wrong type.
func shapeOf(resp *http.Response, body *peekedBody, inPieces bool) (answerShape, error) {
	kind := mediaType(resp)
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	isEvents := kind == "text/event-stream"
	switch encoding := first(resp.Header, "Content-Encoding"); {
	// A whole document can be decoded at its end. The events of an encoded stream could not be read in
	// time.
	case encoding == "gzip" && isJSON && !inPieces:
		return shapeDocument, nil
	case encoding != "" && encoding != "identity":
		return shapeOpaque, nil
	// JSON lines arrive over minutes, as events do.
	case slices.Contains(lineTypes, kind):
		return shapePieces, nil
	case !isJSON && !isEvents && !slices.Contains(vagueTypes, kind):
		return shapeOpaque, nil
	}
	start, err := body.start(1)
	switch {
	// A stream that ends before its first event was cut off.
	case isEvents && (err != nil || len(start) == 0):
		return shapeEvents, &StreamError{Err: cmp.Or(err, io.ErrUnexpectedEOF)}
	case err != nil:
		return shapeOpaque, err
	case len(start) == 0 && (isJSON || kind == ""):
		return shapeOpaque, errBlank
	// An empty text may be right, such as the transcript of a silence.
	case len(start) == 0:
		return shapeOpaque, nil
	case inPieces && !isEvents:
		return shapePieces, nil
	// No event begins with a brace or a bracket, and no JSON value of these APIs without one.
	case start[0] == '{' || start[0] == '[':
		return shapeDocument, nil
	case isEvents:
		return shapeEvents, nil
	// The page of a proxy, a login or a captive portal.
	case kind == "text/html":
		return shapeOpaque, errPage
	case !isJSON:
		return shapeOpaque, nil
	}
	// The type is JSON but the body is not. It may be a stream of events under the wrong type.
	if start, err = body.start(len("event:")); err != nil {
		return shapeOpaque, err
	}
	// The longest field name needs six bytes to be recognised.
	if fieldName.Match(start) {
		return shapeEvents, nil
	}
	return shapeDocument, nil
}

// mediaType is the type of a body without its parameters. The most common types are not parsed,
// which saves the allocations of mime.ParseMediaType.
func mediaType(resp *http.Response) string {
	kind := first(resp.Header, "Content-Type")
	switch kind {
	case "application/json", "text/event-stream":
		return kind
	case "application/json; charset=utf-8":
		return "application/json"
	case "text/plain; charset=utf-8": // of servers in Go that set none
		return "text/plain"
	}
	kind, _, _ = mime.ParseMediaType(kind)
	return kind
}
