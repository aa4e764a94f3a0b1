package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
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

// peekedBody is a body of which the beginning was read and is given again.
type peekedBody struct {
	io.ReadCloser
	held []byte
}

func (b *peekedBody) Read(p []byte) (int, error) {
	if len(b.held) > 0 {
		n := copy(p, b.held)
		b.held = b.held[n:]
		return n, nil
	}
	return b.ReadCloser.Read(p)
}

// more reads once and holds what it has read.
func (b *peekedBody) more() error {
	buf := make([]byte, 512)
	n, err := b.ReadCloser.Read(buf)
	b.held = append(b.held, buf[:n]...)
	return err
}

// start is the beginning of the body behind blanks, which some servers send while a model thinks:
// at least n bytes of it, or all.
func (b *peekedBody) start(n int) ([]byte, error) {
	for {
		text := trim(b.held)
		halfMark := len(text) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, text)
		if len(text) >= n && !halfMark || len(b.held) > maxHeld {
			return text, nil
		}
		switch err := b.more(); {
		case err == io.EOF:
			return trim(b.held), nil
		case err != nil:
			return nil, err
		}
	}
}

// byteOrderMark is UTF-8's byte order mark.
var byteOrderMark = []byte("\xef\xbb\xbf")

// trim is text without the blanks, and the byte order mark, before it.
func trim(text []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(text, byteOrderMark), " \t\r\n")
}

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
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
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

// whole reads an answer in JSON before it is the caller's, who could not do much with half of it.
// What is longer than 4 MiB is passed on as it comes.
func whole(resp *http.Response, body *peekedBody, r *reservation) (*http.Response, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxHeld))
	if err == nil && len(data) == maxHeld {
		body.held = data
		return resp, nil
	}
	_ = body.Close()
	if err != nil {
		return nil, err
	}
	// Only net/http undoes an encoding, and only if it has asked for it.
	text := trim(decoded(resp.Header, data))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch first, complete := firstValue(text); {
	case len(text) == 0:
		return nil, errBlank
	case !complete && (kind == "" || !slices.Contains(vagueTypes, kind)):
		return nil, errHalf
	case isFailure(first):
		return refusal(resp, Event{Data: first}), nil
	}
	r.note(text)
	r.settle()
	// The caller, who asked for an encoding by itself, gets the bytes as they came.
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

// firstValue returns the first value in text, or the first element if that is an array. complete
// reports whether text is one value in JSON or several.
func firstValue(text []byte) (first json.RawMessage, complete bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	// Several values are lines of JSON under another type: not for us to reject.
	for {
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			complete = err == io.EOF && first != nil
			break
		}
		if first == nil {
			first = v
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(first, &list) == nil && len(list) > 0 {
		first = list[0]
	}
	return first, complete
}

// firstPiece reads the first of the values that an answer consists of. The others are the caller's
// as they come: to wait for them all would take the stream from it.
func firstPiece(resp *http.Response, body *peekedBody) (*http.Response, error) {
	first, err := body.firstPiece()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		err = errHalf
	case err == nil && isFailure(first):
		_ = body.Close()
		return refusal(resp, Event{Data: first}), nil
	}
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	return resp, nil
}

// firstPiece returns the first value, or the first element of an array. What is no JSON has none.
func (b *peekedBody) firstPiece() (first json.RawMessage, err error) {
	start, err := b.start(1)
	if err != nil {
		return nil, err
	}
	text := io.MultiReader(bytes.NewReader(start), holding{b})
	dec := json.NewDecoder(io.LimitReader(text, maxHeld))
	if len(start) > 0 && start[0] == '[' {
		if _, err := dec.Token(); err != nil || !dec.More() {
			return nil, err
		}
	}
	err = dec.Decode(&first)
	if bad := (*json.SyntaxError)(nil); errors.As(err, &bad) {
		return nil, nil
	}
	return first, err
}

// holding reads on in a peekedBody and holds what it has read.
type holding struct{ b *peekedBody }

func (h holding) Read(p []byte) (int, error) {
	n, err := h.b.ReadCloser.Read(p)
	h.b.held = append(h.b.held, p[:n]...)
	return n, err
}

// isFailure reports whether an answer is an error, whatever its status. Only its top level and its
// choices count: what is further down may be an error that the model quotes, or the schema of a
// tool. Most providers have a field for it that is null in a success, so that presence alone means
// nothing.
func isFailure(answer []byte) bool {
	var v struct {
		Error                json.RawMessage
		Type, Object, Status any
		Choices              []choice
		Success              any             // of Zhipu
		Code                 json.RawMessage `json:"error_code"` // of Baidu
		Base                 struct {        // of MiniMax
			Code json.RawMessage `json:"status_code"`
		} `json:"base_resp"`
	}
	// A field of another type than here counts as absent; the rest is read all the same.
	err := json.Unmarshal(answer, &v)
	if _, other := err.(*json.UnmarshalTypeError); err != nil && !other {
		return false
	}
	return present(v.Error) || v.Type == "error" || v.Object == "error" || v.Status == "failed" ||
		slices.ContainsFunc(v.Choices, choice.failed) || v.Success == false ||
		present(v.Code) || present(v.Base.Code)
}

// refusal is the response that the provider would have given, had it known in time. SDKs read an
// error from a status and a body, and nothing from a success.
func refusal(resp *http.Response, e Event) *http.Response {
	body := errorBody(e)
	r := *resp
	r.StatusCode = parse(e.Data).guessStatus()
	r.Status = strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode)
	r.Header = resp.Header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Encoding")
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Body = io.NopCloser(bytes.NewReader(body))
	return &r
}
