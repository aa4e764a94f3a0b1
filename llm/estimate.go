package llm

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// Request describes a request to a model, by its path and body.
type Request struct {
	// Model is the model's name, ID or deployment. Empty = not stated.
	Model string

	// Input is the estimated number of tokens in the prompt: see [ReadRequest].
	Input int

	// MaxOutput is the largest number of tokens that all answers may have together. 0 = not stated.
	MaxOutput int
}

const (
	// These are rules of thumb. The usage that the answer reports corrects an estimate.
	bytesPerToken = 4    // of English and of code, as OpenAI advises
	perAttachment = 1000 // tokens of a picture, a page or a sound in base64, as OpenAI's pictures have

	minAttachment = 2 << 10  // characters of base64 in a row, which no text has
	maxBody       = 64 << 20 // bytes of a body that are read
)

// bodies is a pool of buffers for bodies. Each request needs one, for a moment.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBody is the largest buffer that is used again, in bytes. A larger one would keep its memory
// for requests that are mostly small.
const keptBody = 64 << 10 // bytes

// ReadRequest reads the path of a request and a copy of its body, from GetBody. Without GetBody, or
// if GetBody fails, Model is that of the path, and Input is computed from ContentLength.
// ReadRequest never reads req.Body.
//
// Four bytes count as one token. A run of base64, such as a picture, counts as 1000 tokens.
func ReadRequest(req *http.Request) Request {
	q := Request{Model: modelOf(req.URL), Input: tokens(int(max(req.ContentLength, 0)))}
	if req.GetBody == nil {
		return q
	}
	body, err := req.GetBody()
	if err != nil {
		return q
	}
	defer body.Close()
	data := bodies.Get().(*bytes.Buffer)
	defer func() {
		if data.Cap() <= keptBody {
			data.Reset()
			bodies.Put(data)
		}
	}()
	data.Grow(int(min(max(req.ContentLength, 0), maxBody)) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(body, maxBody)); err != nil {
		return q
	}
	text, attachments := withoutAttachments(data.Bytes())
	q.Input = tokens(len(text)) + perAttachment*attachments
	q.read(text)
	return q
}

// tokens is the estimate for that many bytes of text, rounded up.
func tokens(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

// read reads the model and the largest number of tokens that the answer may have. Providers reserve
// this number when the request arrives, even if the answer is shorter. For several answers they
// reserve a multiple.
func (q *Request) read(body []byte) {
	model, most, answers := q.Model, 0.0, 1.0
	whole := jsonscan.Fields(body, func(name, value []byte) {
		switch string(name) {
		case "model":
			if text, ok := jsonscan.Text(value); ok && text != "" {
				model = text
			}
		case "max_tokens", "max_completion_tokens", "max_output_tokens", // max_tokens is of most
			"max_tokens_to_sample": // of Anthropic's completions
			most = max(most, amount(value))
		case "n":
			answers = max(answers, amount(value))
		case "generationConfig": // of Google
			most = max(most, numberIn(value, "maxOutputTokens"))
			answers = max(answers, numberIn(value, "candidateCount"))
		case "inferenceConfig": // of Bedrock
			most = max(most, numberIn(value, "maxTokens"))
		case "options": // of Ollama
			most = max(most, numberIn(value, "num_predict"))
		}
	})
	// No provider accepts half a body.
	if whole {
		q.Model, q.MaxOutput = model, int(min(most*answers, math.MaxInt32))
	}
}

// modelOf is the model in the path of Google, Bedrock or Azure, or empty. Azure counts by
// deployment, Bedrock by the model's ID or ARN.
func modelOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	for _, before := range []string{"/models/", "/model/", "/deployments/"} {
		if _, rest, ok := strings.Cut(u.Path, before); ok {
			if strings.HasPrefix(rest, "arn:") {
				return rest[:max(strings.LastIndexByte(rest, '/'), 0)]
			}
			name, _, _ := strings.Cut(rest, "/")
			name, _, _ = strings.Cut(name, ":generate")
			name, _, _ = strings.Cut(name, ":stream")
			return name
		}
	}
	return ""
}

// withoutAttachments returns a body without its base64 attachments, and their number. The number of
// an attachment's tokens does not depend on its size.
func withoutAttachments(body []byte) (text []byte, attachments int) {
	// Most prompts are shorter than the shortest attachment.
	if len(body) < minAttachment {
		return body, 0
	}
	start := 0 // of the run of base64
	for i := 0; i <= len(body); i++ {
		if i < len(body) && isBase64(body[i]) {
			continue
		}
		// The body is copied only from the first attachment on, since most bodies have none.
		if i-start >= minAttachment {
			if attachments == 0 {
				text = bytes.Clone(body[:start])
			}
			attachments++
		} else if attachments > 0 {
			text = append(text, body[start:i]...)
		}
		if i < len(body) && attachments > 0 {
			text = append(text, body[i])
		}
		start = i + 1
	}
	if attachments == 0 {
		return body, 0
	}
	return text, attachments
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}
