package llm

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// question is what a quota reads from a request.
type question struct {
	model  string
	size   int     // bytes of the body, attachments apart
	extra  float64 // tokens of attachments
	output float64 // the most tokens that the answer may have; 0 = not stated
}

const (
	bytesPerToken = 4    // of English and of code, as OpenAI advises
	perAttachment = 1000 // tokens of a picture, a page or a sound in base64, as OpenAI's pictures have

	minAttachment = 2 << 10  // characters of base64 in a row, which no text has
	maxBody       = 64 << 20 // bytes of a body that are read
)

// asked reads a request's body, which GetBody gives once more. Without GetBody the model is that of
// the path, and the size is ContentLength.
func asked(req *http.Request) (q question) {
	q.model = modelOf(req.URL)
	q.size = int(max(req.ContentLength, 0))
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
	q.size, q.extra = len(text), perAttachment*float64(attachments)
	q.read(text)
	return q
}

// read reads the model, and the most tokens that the answer may have. Providers reserve as many
// when the request comes, whatever the answer turns out to be. A request for several answers
// reserves so many times as much.
func (q *question) read(body []byte) {
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
		q.model = b.Model
	}
	most := max(b.MaxTokens, b.MaxCompletion, b.MaxOutput, b.MaxToSample, b.Google.MaxOutput,
		b.Bedrock.MaxTokens, b.Ollama.Predict)
	q.output = most * max(b.N, b.Google.Candidates, 1)
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
