package llm

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// chunk is what distinguishes the providers' events.
type chunk struct {
	Type  string
	Delta json.RawMessage
	Error json.RawMessage

	Response json.RawMessage // of OpenAI's response.failed

	Choices []choice // of OpenAI's chat and text completions, and of most others

	Candidates     []candidate // of Google
	PromptFeedback *struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	UsageMetadata json.RawMessage `json:"usageMetadata"`
}

// choice is a piece of one of OpenAI's answers to a request that may want several.
type choice struct {
	Index int
	Text  string
	Delta struct {
		Content, Refusal, Audio any
		ToolCalls               any `json:"tool_calls"`
		FunctionCall            any `json:"function_call"`
	}
	Error        json.RawMessage // of OpenRouter, of the provider behind it
	FinishReason any             `json:"finish_reason"`
}

// finished reports whether the piece is the last.
func (c choice) finished() bool { return c.FinishReason != nil && c.FinishReason != "" }

func (c choice) failed() bool { return present(c.Error) || c.FinishReason == "error" }

// candidate is a piece of one of Google's answers to a request that may want several.
type candidate struct {
	Index   int
	Content struct {
		Parts []struct {
			Thought bool
			Text    *string
		}
	}
	FinishReason string `json:"finishReason"`
}

// finished reports whether the piece is the last. What is not specified is a checkpoint, from which
// an SDK may continue.
func (c candidate) finished() bool {
	return c.FinishReason != "" && c.FinishReason != "FINISH_REASON_UNSPECIFIED"
}

// read gives an event's chunk; ok is false if the data is no JSON object. A field of another type
// than here counts as absent.
func (e Event) read() (c chunk, ok bool) {
	data := bytes.TrimSpace(e.Data)
	if len(data) == 0 || data[0] != '{' {
		return c, false
	}
	err := json.Unmarshal(data, &c)
	if _, other := err.(*json.UnmarshalTypeError); err != nil && !other {
		return chunk{}, false
	}
	if c.Type == "" {
		c.Type = e.Name
	}
	return c, true
}

// IsOutput reports whether an event has output for the user of a model: a piece of text, of a
// refusal, of sound, or of the call of a tool. What a model thinks before it answers is not meant,
// nor are the events around the output. Of an event that it does not know IsOutput returns true,
// since a user may have seen it.
func IsOutput(e Event) bool {
	c, ok := e.read()
	switch {
	case isDone(e):
		return false
	case !ok:
		return len(e.Data) > 0 || e.Data == nil
	case present(c.Error):
		return false
	case c.Choices != nil:
		return c.hasChoice()
	case c.Candidates != nil:
		return c.hasParts()
	case c.PromptFeedback != nil || c.UsageMetadata != nil:
		return false
	}
	return c.hasOutput()
}

func (c chunk) hasChoice() bool {
	for _, choice := range c.Choices {
		d := choice.Delta
		if choice.Text != "" || d.FunctionCall != nil || d.Audio != nil ||
			hasContent(d.Content) || hasContent(d.Refusal) || hasContent(d.ToolCalls) {
			return true
		}
	}
	return false
}

// hasContent reports whether v is a text, or a list of parts of which one is no thought.
func hasContent(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return slices.ContainsFunc(v, func(part any) bool {
			m, _ := part.(map[string]any)
			return m["type"] != "thinking" && m["type"] != "reasoning"
		})
	}
	return v != nil
}

func (c chunk) hasParts() bool {
	for _, candidate := range c.Candidates {
		for _, part := range candidate.Content.Parts {
			if !part.Thought && (part.Text == nil || *part.Text != "") {
				return true
			}
		}
	}
	return false
}

// noOutput are the types of events that have no output, of Anthropic and Cohere.
var noOutput = []string{
	"error", "ping", "message_start", "content_block_start", "content_block_stop", "message_delta",
	"message_stop", "message-start", "content-start", "content-end", "message-end",
	"tool-plan-delta", "tool-call-end", "citation-start", "citation-end",
}

func (c chunk) hasOutput() bool {
	switch {
	case c.Type == "content_block_delta":
		var d struct {
			Type string
			Text string
		}
		_ = json.Unmarshal(c.Delta, &d)
		thought := d.Type == "thinking_delta" || d.Type == "signature_delta"
		return !thought && (d.Type != "text_delta" || d.Text != "")
	case strings.HasPrefix(c.Type, "response."):
		return strings.HasSuffix(c.Type, ".delta") && !strings.Contains(c.Type, "reasoning")
	}
	return !slices.Contains(noOutput, c.Type)
}

// ends are the types of the last events of a stream: of Anthropic, Cohere, OpenAI's responses, and
// its speech, transcripts and images.
var ends = []string{
	"message_stop", "message-end", "response.completed", "response.incomplete", "response.failed",
	"response.cancelled", "speech.audio.done", "transcript.text.done",
	"image_generation.completed", "image_edit.completed",
}

// IsEnd reports whether an event is the mark at the end of a stream, without which it was cut:
// [DONE] of OpenAI's chat and all who copied it, message_stop of Anthropic, response.completed and
// its like of OpenAI's responses, a candidate with a finishReason of Google's, or a blockReason. An
// event that is too long to be read may be one.
//
// Of several candidates of Google's each has a mark. A [Transport] and a [Stream] give what comes
// after it, too, and take a stream for whole if each candidate that it has had got its mark.
func IsEnd(e Event) bool {
	if isDone(e) || e.Data == nil || slices.Contains(ends, e.Name) {
		return true
	}
	if !mentions(e.Data, `finishReason`, `blockReason`) && !mentions(e.Data, ends...) {
		return false // without the cost of reading JSON
	}
	c, _ := e.read()
	if slices.Contains(ends, c.Type) {
		return true
	}
	return slices.ContainsFunc(c.Candidates, candidate.finished) ||
		c.PromptFeedback != nil && c.PromptFeedback.BlockReason != ""
}

func isDone(e Event) bool { return bytes.HasPrefix(bytes.TrimSpace(e.Data), []byte("[DONE]")) }

func mentions(data []byte, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return bytes.Contains(data, []byte(w))
	})
}

// present reports whether v is something, and not one of the ways to say that there is none.
func present(v json.RawMessage) bool {
	switch string(bytes.TrimSpace(v)) {
	case "", "null", "false", "0", `"0"`, `""`, "{}", "[]":
		return false
	}
	return true
}

// failed reports whether an event is an error of the provider's.
func failed(e Event) bool {
	if e.Name == "error" {
		return true
	}
	if !mentions(e.Data, `"error"`, "response.failed") {
		return false
	}
	c, ok := e.read()
	return ok && (present(c.Error) || c.Type == "error" || c.Type == "response.failed" ||
		slices.ContainsFunc(c.Choices, choice.failed))
}

// errorBody is an error event as the body of a response, in the shape that SDKs expect.
func errorBody(e Event) []byte {
	c, ok := e.read()
	switch {
	case !ok:
		body, _ := json.Marshal(map[string]any{"error": map[string]string{
			"message": string(e.Data),
		}})
		return body
	case present(c.Error):
		return e.Data
	}
	inner := json.RawMessage(e.Data)
	// SDKs look for an error at the top alone.
	if i := slices.IndexFunc(c.Choices, choice.failed); i >= 0 && present(c.Choices[i].Error) {
		inner = c.Choices[i].Error
	}
	var r struct{ Error json.RawMessage }
	if json.Unmarshal(c.Response, &r) == nil && present(r.Error) {
		inner = r.Error
	}
	body, err := json.Marshal(map[string]json.RawMessage{"error": inner})
	if err != nil {
		return e.Data
	}
	return body
}
