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

// whole reads an answer in JSON before it is the caller's, who could not do much with half of it.
// What is longer than 4 MiB is passed on as it comes.
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
	// Only net/http undoes an encoding, and only if it has asked for it.
	text := trim(decoded(resp.Header, data))
	a := readAnswer(text)
	kind := mediaType(resp)
	switch {
	case len(text) == 0:
		return nil, errBlank
	case !a.complete && (kind == "" || !slices.Contains(vagueTypes, kind)):
		return nil, errHalf
	case a.failed:
		return refusal(resp, Event{Data: a.first}), nil
	}
	r.note(a.usage)
	r.settle()
	// The caller, who asked for an encoding by itself, gets the bytes as they came.
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

// finding is what there is to know of the text of an answer.
// It is read in one pass, since a batch has answers by the million.
type finding struct {
	first    []byte // value in it, or the first element if that is an array
	complete bool   // it is one value in JSON or several
	failed   bool   // the first is an error
	usage    usage
}

// readAnswer reads an answer. Nearly all are one object, which is read once.
func readAnswer(text []byte) (a finding) {
	failed := false
	if a.complete = jsonscan.Fields(text, func(name, value []byte) {
		failed = failed || isError(name, value)
		a.usage.field(name, value)
	}); a.complete {
		a.first, a.failed = bytes.TrimSpace(text), failed
		return a
	}
	// Google's arrays, lines of JSON, and what is no JSON at all.
	a.first, a.complete = firstValue(text)
	a.failed, a.usage = isFailure(a.first), usage{}
	a.usage.add(text)
	return a
}

// firstValue returns the first value in text, or the first element if that is an array. complete
// reports whether text is one value in JSON or several.
func firstValue(text []byte) (first json.RawMessage, complete bool) {
	value, rest, complete := jsonscan.First(text)
	if !complete {
		return nil, false
	}
	first = value
	// Several values are lines of JSON under another type: not for us to reject.
	for complete && len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		_, rest, complete = jsonscan.First(rest)
	}
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

// isFailure reports whether an answer is an error, whatever its status. Only its top level and its
// choices count: what is further down may be an error that the model quotes, or the schema of a
// tool. Most providers have a field for it that is null in a success, so that presence alone means
// nothing.
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
	case "base_resp": // of MiniMax
		jsonscan.Fields(value, func(name, code []byte) {
			failed = failed || string(name) == "status_code" && present(code)
		})
	}
	return failed
}

// choiceFailed is choice.failed of a choice in JSON.
func choiceFailed(c []byte) (failed bool) {
	jsonscan.Fields(c, func(name, value []byte) {
		failed = failed || string(name) == "error" && present(value) ||
			string(name) == "finish_reason" && string(value) == `"error"`
	})
	return failed
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
