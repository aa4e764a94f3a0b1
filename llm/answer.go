package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// whole reads a JSON answer to its end before the caller gets it. Half a document is of little use
// to the caller, and until then a failure can be retried. An answer longer than maxHeld is passed
// on as it arrives.
func whole(resp *http.Response, body *peekedBody, r *reservation) (*http.Response, error) {
	switch err := body.all(maxHeld); {
	case err == nil:
		return resp, nil
	case err != io.EOF:
		_ = body.Close()
		return nil, err
	}
	_ = body.Close()
	data := body.held
	// net/http decodes a body only if it asked for the encoding itself. Here the caller did.
	text := trim(decoded(resp.Header, data))
	a := readAnswer(text)
	kind := mediaType(resp)
	switch {
	case len(text) == 0:
		return nil, errBlank
	// Text under a vague type may be complete without being JSON.
	case !a.complete && (kind == "" || !slices.Contains(vagueTypes, kind)):
		return nil, errHalf
	// A good status with an error inside. The policy classifies it like an error with its own status.
	case a.failed:
		return refusal(resp, Event{Data: a.first}), nil
	}
	r.note(a.usage)
	r.settle()
	// The caller asked for the encoding, so it gets the bytes as they arrived.
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

// finding is what the text of an answer shows. It is read in one pass, because a batch has millions
// of answers.
type finding struct {
	first    []byte // the first value, or its first element if it is an array
	complete bool   // it consists of whole JSON values
	failed   bool   // first is an error
	usage    usage
}

// readAnswer reads an answer. Nearly all answers are a single object, which is read once.
func readAnswer(text []byte) (a finding) {
	failed := false
	if a.complete = jsonscan.Fields(text, func(name, value []byte) {
		failed = failed || isError(name, value)
		a.usage.field(name, value)
	}); a.complete {
		a.first, a.failed = bytes.TrimSpace(text), failed
		return a
	}
	// Otherwise the text is a JSON array from Google, lines of JSON, or not JSON.
	a.first, a.complete = firstValue(text)
	a.failed, a.usage = isFailure(a.first), usage{}
	a.usage.add(text)
	return a
}

// firstValue returns the first value in text, or the first element if that value is an array.
// complete reports whether text consists of one or more whole JSON values.
func firstValue(text []byte) (first json.RawMessage, complete bool) {
	value, rest, complete := jsonscan.First(text)
	if !complete {
		return nil, false
	}
	first = value
	// Several values are lines of JSON sent under another type. They are valid answers.
	for complete && len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		_, rest, complete = jsonscan.First(rest)
	}
	// Google's arrays hold one answer or error for each piece.
	if value[0] == '[' {
		n := 0
		jsonscan.Elements(value, func(element []byte) {
			if n++; n == 1 {
				first = element
			}
		})
	}
	return first, complete
}

// firstPiece reads the first value of an answer in pieces. The caller reads the others as they
// arrive, because waiting for all of them would defeat streaming.
func firstPiece(
	resp *http.Response, body *peekedBody, r *reservation,
) (*http.Response, error) {
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
	resp.Body = r.metered(body, true)
	return resp, nil
}

// isFailure reports whether an answer is an error. The status does not matter. Only its top level
// and its choices are examined. Further down, an error may be one that the model quotes, or part of
// a tool's schema. Most providers send an error field that is null in a success, so its presence
// alone means nothing.
func isFailure(answer []byte) bool {
	failed := false
	whole := jsonscan.Fields(answer, func(name, value []byte) {
		failed = failed || isError(name, value)
	})
	return whole && failed
}

// isError reports whether an answer with this field is an error.
func isError(name, value []byte) (failed bool) {
	switch strings.ToLower(string(name)) {
	case "error", "error_code": // error_code is Baidu's
		return present(value)
	case "type", "object":
		return string(value) == `"error"`
	case "status":
		return string(value) == `"failed"`
	case "success": // of Zhipu
		return string(value) == "false"
	case "choices":
		jsonscan.Elements(value, func(c []byte) { failed = failed || choiceFailed(c) })
	// The status_code is 0 in a success.
	case "base_resp": // of MiniMax
		jsonscan.Fields(value, func(name, code []byte) {
			failed = failed || string(name) == "status_code" && present(code)
		})
	}
	return failed
}

// choiceFailed is choice.failed for a choice that is still JSON. It avoids decoding the whole
// choice.
func choiceFailed(c []byte) (failed bool) {
	jsonscan.Fields(c, func(name, value []byte) {
		failed = failed || string(name) == "error" && present(value) ||
			string(name) == "finish_reason" && string(value) == `"error"`
	})
	return failed
}

// refusal returns the response that the provider would have sent if it had known the failure before
// the header. SDKs read errors from a status and a body, and do not look for one in a success.
func refusal(resp *http.Response, e Event) *http.Response {
	body := errorBody(e)
	// The headers stay, because Retry-After and the rate limits in them are still valid.
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
