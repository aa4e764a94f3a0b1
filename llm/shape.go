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

// answerError is an answer with a good status that is none.
type answerError struct {
	what string
	err  error
}

func (e *answerError) Error() string { return "llm: the answer " + e.what }
func (e *answerError) Unwrap() error { return e.err }

// DescribeFault makes it a failure that passes, like a connection that broke.
func (e *answerError) DescribeFault() fault.Fault {
	return fault.Fault{Kind: fault.Transient, Detail: "no answer"}
}

var (
	errBlank = &answerError{"is blank", io.ErrUnexpectedEOF}
	errHalf  = &answerError{"is not whole", io.ErrUnexpectedEOF}
	errPage  = &answerError{"is a page in HTML", nil}
)

// answerShape is how an answer has to be read.
type answerShape uint8

const (
	shapeOpaque   answerShape = iota // not at all: sound, pictures, an encoding that is not known
	shapeDocument                    // a value in JSON
	shapePieces                      // several, each of which counts
	shapeEvents                      // a stream of events
)

var (
	// lineTypes are those of JSON in lines.
	lineTypes = []string{
		"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines",
		"application/x-jsonlines", "application/stream+json",
	}
	// vagueTypes are those of bodies that may be anything, a document in JSON among them.
	vagueTypes = []string{"", "text/plain", "text/html", "application/octet-stream"}

	fieldName = regexp.MustCompile(`^(?:data|event|id|retry|error)?:`)
)

// shapeOf looks at the type of an answer and the beginning of its body, which decides where the
// two differ.
func shapeOf(resp *http.Response, body *peekedBody, inPieces bool) (answerShape, error) {
	kind := mediaType(resp)
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	isEvents := kind == "text/event-stream"
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case encoding == "gzip" && isJSON && !inPieces:
		return shapeDocument, nil
	case encoding != "" && encoding != "identity":
		return shapeOpaque, nil
	case slices.Contains(lineTypes, kind): // they come over minutes, as events do
		return shapePieces, nil
	case !isJSON && !isEvents && !slices.Contains(vagueTypes, kind):
		return shapeOpaque, nil
	}
	start, err := body.start(1)
	switch {
	case isEvents && (err != nil || len(start) == 0):
		return shapeEvents, &StreamError{Err: cmp.Or(err, io.ErrUnexpectedEOF)}
	case err != nil:
		return shapeOpaque, err
	case len(start) == 0 && (isJSON || kind == ""):
		return shapeOpaque, errBlank
	case len(start) == 0: // the transcript of a silence, for one
		return shapeOpaque, nil
	case inPieces && !isEvents:
		return shapePieces, nil
	case start[0] == '{' || start[0] == '[':
		return shapeDocument, nil
	case isEvents:
		return shapeEvents, nil
	case kind == "text/html": // of a proxy, a login, a captive portal
		return shapeOpaque, errPage
	case !isJSON:
		return shapeOpaque, nil
	}
	if start, err = body.start(len("event:")); err != nil {
		return shapeOpaque, err
	}
	if fieldName.Match(start) {
		return shapeEvents, nil
	}
	return shapeDocument, nil
}

// mediaType is the type of a body without its parameters. The types that most answers have are not
// parsed.
func mediaType(resp *http.Response) string {
	kind := resp.Header.Get("Content-Type")
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
