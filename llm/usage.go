package llm

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// Usage is the tokens that an answer has used, as its provider reports them.
type Usage struct {
	Input  float64 // of the prompt, cached ones included
	Cached float64 // of Input: read from a cache, which costs less
	Output float64 // of the answer, those of its reasoning included
}

// UsageOf reads the usage that an answer in JSON reports, or an event of a stream. It is zero if
// there is none.
func UsageOf(answer []byte) Usage {
	var u usage
	u.add(answer)
	return Usage{Input: u.input + u.outside, Cached: u.cached, Output: u.output}
}

// usage is the greatest number of each that was reported: a stream reports it in parts and again.
type usage struct {
	input, output, total float64
	cached               float64 // of input
	outside              float64 // of cached: beside input, which does not count against a limit
}

// tokens is what counts against a limit, 0 if nothing was reported. Tokens that Anthropic reads
// from its cache do not count there.
func (u usage) tokens() float64 {
	if u.total > 0 {
		return u.total
	}
	return u.input + u.output
}

// counts are the names that numbers of tokens have.
type counts struct {
	Total      float64 `json:"total_tokens"`  // of OpenAI and most others
	Prompt     float64 `json:"prompt_tokens"` //
	Completion float64 `json:"completion_tokens"`
	Input      float64 `json:"input_tokens"`  // of Anthropic, Cohere and OpenAI's responses
	Output     float64 `json:"output_tokens"` //
	CacheWrite float64 `json:"cache_creation_input_tokens"`
	CacheRead  float64 `json:"cache_read_input_tokens"`

	PromptDetails cached `json:"prompt_tokens_details"`
	InputDetails  cached `json:"input_tokens_details"`

	BedrockTotal  float64 `json:"totalTokens"`
	BedrockInput  float64 `json:"inputTokens"`
	BedrockOutput float64 `json:"outputTokens"`

	GoogleTotal    float64 `json:"totalTokenCount"`
	GooglePrompt   float64 `json:"promptTokenCount"`
	GoogleOutput   float64 `json:"candidatesTokenCount"`
	GoogleThoughts float64 `json:"thoughtsTokenCount"`
	GoogleCached   float64 `json:"cachedContentTokenCount"`

	Tokens *counts `json:"tokens"` // of Cohere
}

// cached is what OpenAI says of the tokens of a prompt.
type cached struct {
	Tokens float64 `json:"cached_tokens"`
}

// reported are the places of counts in an answer or an event. One struct for all providers costs
// less than to find out which provider it is, and an answer that a router passes on has the
// provider's shape.
type reported struct {
	Usage    counts                 `json:"usage"`
	Google   counts                 `json:"usageMetadata"`
	Cohere   counts                 `json:"meta"`
	Message  struct{ Usage counts } `json:"message"`           // of Anthropic's message_start
	Response struct{ Usage counts } `json:"response"`          // of OpenAI's response.completed
	Delta    struct{ Usage counts } `json:"delta"`             // of Cohere's message-end
	Prompt   float64                `json:"prompt_eval_count"` // of Ollama
	Output   float64                `json:"eval_count"`
}

// add reads what an answer or an event reports. To look for a word costs less than to read the JSON
// of each event. A field of another type than here counts as absent.
func (u *usage) add(data []byte) {
	if !mentions(data, `"usage`, `"tokens"`, `_count"`) {
		return
	}
	var r reported
	err := json.Unmarshal(data, &r)
	if _, other := err.(*json.UnmarshalTypeError); err != nil && !other {
		return
	}
	for _, c := range []counts{r.Usage, r.Google, r.Cohere, r.Message.Usage, r.Response.Usage,
		r.Delta.Usage} {
		u.count(c)
	}
	u.input, u.output = max(u.input, r.Prompt), max(u.output, r.Output)
}

// count takes in one set of counts. A provider uses its own names alone: those of others are 0.
func (u *usage) count(c counts) {
	u.total = max(u.total, c.Total, c.BedrockTotal, c.GoogleTotal)
	u.input = max(u.input, c.Prompt, c.Input+c.CacheWrite, c.BedrockInput, c.GooglePrompt)
	u.output = max(u.output, c.Completion, c.Output, c.BedrockOutput,
		c.GoogleOutput+c.GoogleThoughts)
	u.outside = max(u.outside, c.CacheRead)
	u.cached = max(u.cached, c.CacheRead, c.PromptDetails.Tokens, c.InputDetails.Tokens,
		c.GoogleCached)
	if c.Tokens != nil {
		u.count(*c.Tokens)
	}
}

// addLast reads the last piece of an answer in pieces: a line, or an element of Google's array. The
// text may begin in the middle of a piece, so it is searched and not parsed.
func (u *usage) addLast(text []byte) {
	if i := bytes.LastIndex(text, []byte(`"usageMetadata"`)); i >= 0 {
		_, value, _ := bytes.Cut(text[i:], []byte(":"))
		var c counts
		_ = json.NewDecoder(bytes.NewReader(value)).Decode(&c)
		u.count(c)
		return
	}
	text = bytes.TrimSpace(text)
	u.add(text[bytes.LastIndexByte(text, '\n')+1:])
}

// maxTail is what is kept of an answer in pieces to read the usage from: more than any last piece
// has beside its text.
const maxTail = 16 << 10

// meteredBody settles a reservation when a body has ended, whole or not. What was reported until
// then has been used.
type meteredBody struct {
	io.ReadCloser
	r    *reservation
	raw  bool // the answer comes in pieces; the events of a stream are read already
	mu   sync.Mutex
	tail []byte // of the pieces
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.raw {
		b.keep(p[:n])
	}
	if err != nil {
		b.settle()
	}
	return n, err
}

// keep appends to the tail, which is cut when it is twice as long as it must be: each byte is moved
// once.
func (b *meteredBody) keep(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	if over := len(b.tail) - maxTail; over > maxTail {
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
}

// Close settles, too: not every caller reads to the end.
func (b *meteredBody) Close() error {
	b.settle()
	return b.ReadCloser.Close()
}

func (b *meteredBody) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.raw {
		b.r.noteLast(b.tail)
	}
	b.r.settle()
}
