package llm

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
)

// Request is what a request asks of a model, as far as its path and its body show.
type Request struct {
	Model     string // empty = not stated
	Input     int    // estimated tokens of the prompt
	MaxOutput int    // the most tokens that the answers may have together; 0 = not stated
}

const (
	bytesPerToken = 4    // of English and of code, as OpenAI advises
	perAttachment = 1000 // tokens of a picture, a page or a sound in base64, as OpenAI's pictures have

	minAttachment = 2 << 10  // characters of base64 in a row, which no text has
	maxBody       = 64 << 20 // bytes of a body that are read
)

// ReadRequest reads a request's path and its body, which GetBody gives once more. Without GetBody
// the path may show the model, and ContentLength stands for the body.
//
// A token is four bytes. A piece of base64, such as a picture, is 1000 tokens.
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
	data, err := io.ReadAll(io.LimitReader(body, maxBody))
	if err != nil {
		return q
	}
	text, attachments := withoutAttachments(data)
	q.Input = tokens(len(text)) + perAttachment*attachments
	q.read(text)
	return q
}

// tokens is the estimate for so many bytes of text, rounded up.
func tokens(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

// read reads the model, and the most tokens that the answer may have. Providers reserve as many
// when the request comes, whatever the answer turns out to be. A request for several answers
// reserves so many times as much.
func (q *Request) read(body []byte) {
	var b struct {
		Model         string
		MaxTokens     float64 `json:"max_tokens"`            // of OpenAI, Anthropic and most others
		MaxCompletion float64 `json:"max_completion_tokens"` // of OpenAI
		MaxOutput     float64 `json:"max_output_tokens"`     // of OpenAI's responses
		MaxToSample   float64 `json:"max_tokens_to_sample"`  // of Anthropic's completions
		N             float64
		Google        struct {
			MaxOutput  float64 `json:"maxOutputTokens"`
			Candidates float64 `json:"candidateCount"`
		} `json:"generationConfig"`
		Bedrock struct {
			MaxTokens float64 `json:"maxTokens"`
		} `json:"inferenceConfig"`
		Ollama struct {
			Predict float64 `json:"num_predict"`
		} `json:"options"`
	}
	// A field of another type than here counts as absent; the rest is read all the same.
	_ = json.Unmarshal(body, &b)
	if b.Model != "" {
		q.Model = b.Model
	}
	most := max(b.MaxTokens, b.MaxCompletion, b.MaxOutput, b.MaxToSample, b.Google.MaxOutput,
		b.Bedrock.MaxTokens, b.Ollama.Predict)
	q.MaxOutput = int(min(most*max(b.N, b.Google.Candidates, 1), math.MaxInt32))
}

// modelOf is the model in the path of Google, Bedrock and Azure; empty if there is none. Azure
// counts by deployment, and Bedrock by the model's ID or ARN.
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

// withoutAttachments returns a body without its attachments in base64, and how many there are:
// their bytes say nothing about their tokens.
func withoutAttachments(body []byte) (text []byte, attachments int) {
	start := 0 // of the run of base64
	for i := 0; i <= len(body); i++ {
		if i < len(body) && isBase64(body[i]) {
			continue
		}
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
