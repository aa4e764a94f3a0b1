package llm

import (
	"bytes"
	"io"
	"sync"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// Usage is the number of tokens that an answer has used, as its provider reports it.
type Usage struct {
	// Input is the tokens of the prompt, including those read from a cache.
	Input float64

	// Cached is the part of Input that was read from a cache, which costs less.
	Cached float64

	// Output is the tokens of the answer, including those of its reasoning.
	Output float64
}

// UsageOf reads the usage that a JSON answer, or an event of a stream, reports. It is zero if there
// is none.
func UsageOf(answer []byte) Usage {
	var u usage
	u.add(answer)
	return Usage{Input: u.input + u.outside, Cached: u.cached, Output: u.output}
}

// usage is the largest number of each kind that was reported. A stream reports parts of the usage,
// and reports them again, so a maximum is right where a sum would not be.
type usage struct {
	input, output, total float64
	cached               float64 // of input
	outside              float64 // the part of cached that is not in input
}

// tokens is the number that counts against a limit, or 0 if nothing was reported. Tokens that
// Anthropic reads from its cache do not count.
func (u usage) tokens() float64 {
	if u.total > 0 {
		return u.total
	}
	return u.input + u.output
}

// counts are the numbers of tokens in one object. A provider uses only its own names; the others
// stay 0.
type counts struct {
	total                      float64
	prompt, completion         float64 // with cached ones
	input, output, write, read float64 // input without those that are written to and read from a cache
	cached, thoughts           float64
}

// add reads what an answer or an event reports. It first searches for a word, which costs less than
// reading the JSON of each event. One reader serves all providers: an answer passed on by a router
// has the shape of the provider behind it.
func (u *usage) add(data []byte) {
	if !mentions(data, `"usage`, `"tokens"`, `_count"`) {
		return
	}
	next := *u // of half an answer nothing counts
	if jsonscan.Fields(data, next.field) {
		*u = next
	}
}

// field reads a field of an answer or an event.
func (u *usage) field(name, value []byte) {
	switch string(name) {
	case "usage", "usageMetadata", "meta": // meta is Cohere's
		u.count(value)
	case "message", "response", "delta": // of events of Anthropic, OpenAI's responses and Cohere
		jsonscan.Fields(value, func(name, value []byte) {
			if string(name) == "usage" {
				u.count(value)
			}
		})
	case "prompt_eval_count": // of Ollama
		u.input = max(u.input, amount(value))
	case "eval_count":
		u.output = max(u.output, amount(value))
	}
}

// also adds what another part has reported.
func (u *usage) also(o usage) {
	u.input, u.output = max(u.input, o.input), max(u.output, o.output)
	u.total, u.cached = max(u.total, o.total), max(u.cached, o.cached)
	u.outside = max(u.outside, o.outside)
}

// count adds one object of counts, and the object inside it that Cohere has.
func (u *usage) count(object []byte) {
	// The fields may be in any order, so they are merged after the last.
	var c counts
	jsonscan.Fields(object, func(name, value []byte) {
		if string(name) == "tokens" {
			var inner counts
			jsonscan.Fields(value, inner.set)
			u.merge(inner)
			return
		}
		c.set(name, value)
	})
	u.merge(c)
}

// set records one field. Fields with other names are ignored.
func (c *counts) set(name, value []byte) {
	switch string(name) {
	case "total_tokens", "totalTokens", "totalTokenCount": // of OpenAI, Bedrock and Google
		c.total = amount(value)
	case "prompt_tokens", "inputTokens", "promptTokenCount":
		c.prompt = amount(value)
	case "completion_tokens", "outputTokens", "candidatesTokenCount":
		c.completion = amount(value)
	// Providers differ in whether cached tokens are part of the input. merge sorts that out.
	case "input_tokens": // of Anthropic, Cohere and OpenAI's responses
		c.input = amount(value)
	case "output_tokens":
		c.output = amount(value)
	case "cache_creation_input_tokens":
		c.write = amount(value)
	case "cache_read_input_tokens":
		c.read = amount(value)
	case "thoughtsTokenCount":
		c.thoughts = amount(value)
	case "cachedContentTokenCount":
		c.cached = max(c.cached, amount(value))
	case "prompt_tokens_details", "input_tokens_details":
		jsonscan.Fields(value, func(name, value []byte) {
			if string(name) == "cached_tokens" {
				c.cached = max(c.cached, amount(value))
			}
		})
	}
}

// merge adds what one object has reported.
func (u *usage) merge(c counts) {
	u.total = max(u.total, c.total)
	u.input = max(u.input, c.prompt, c.input+c.write)
	u.output = max(u.output, c.completion+c.thoughts, c.output)
	u.outside = max(u.outside, c.read)
	u.cached = max(u.cached, c.read, c.cached)
}

// addLast reads the last part of an answer in pieces: a line, or an element of Google's array. The
// text may begin in the middle of a piece, so it is searched and not parsed.
func (u *usage) addLast(text []byte) {
	if i := bytes.LastIndex(text, []byte(`"usageMetadata"`)); i >= 0 {
		_, value, _ := bytes.Cut(text[i:], []byte(":"))
		value, _, _ = jsonscan.First(value)
		u.count(value)
		return
	}
	text = bytes.TrimSpace(text)
	u.add(text[bytes.LastIndexByte(text, '\n')+1:])
}

// maxTail is how much of an answer in pieces is kept to read the usage from, in bytes. The parts of
// a last piece other than its text are shorter.
const maxTail = 16 << 10

// meteredBody settles a reservation when its body has ended, whole or not: tokens that were
// reported before a failure have been used. A body may be closed during a Read.
type meteredBody struct {
	io.ReadCloser
	r   *reservation
	raw bool // the answer comes in pieces; the events of a stream are read already

	mu   sync.Mutex // guards what follows
	tail []byte     // of the pieces
	done bool       // the meter is no longer in use
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.raw {
		b.keep(p[:n])
	}
	// io.EOF and a failure settle alike.
	if err != nil {
		b.settle()
	}
	return n, err
}

// keep appends to the tail. The tail is cut only when it is twice as long as needed, so that each
// byte is moved at most once.
func (b *meteredBody) keep(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	if over := len(b.tail) - maxTail; over > maxTail {
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
}

// Close settles as well, because not every caller reads to the end.
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
	// Only once, although both the end and Close settle.
	if !b.done {
		b.done = true
		b.r.entry.Done()
	}
}
