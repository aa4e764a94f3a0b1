package llm

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// chunk holds the fields by which the providers' events differ. One struct reads the events of all
// providers, because a gateway may pass on any of them.
type chunk struct {
	Type  string
	Delta json.RawMessage
	Error json.RawMessage

	// The rest of a response is left as JSON: its many fields are not needed.
	Response json.RawMessage // of OpenAI's response.failed

	Choices []choice // of OpenAI's chat and text completions, and of most others

	Candidates     []candidate // of Google
	PromptFeedback *struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	UsageMetadata json.RawMessage `json:"usageMetadata"`
}

// choice is a piece of one answer in OpenAI's format. A request may ask for several answers, whose
// pieces are interleaved.
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

// finished reports whether this is the last piece of its answer.
func (c choice) finished() bool { return c.FinishReason != nil && c.FinishReason != "" }

// failed reports whether the provider behind a router failed in the middle of the answer.
func (c choice) failed() bool { return present(c.Error) || c.FinishReason == "error" }

// candidate is a piece of one answer in Google's format. A request may ask for several answers.
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

// finished reports whether this is the last piece of its answer. FINISH_REASON_UNSPECIFIED marks a
// checkpoint from which an SDK may continue, not the end.
func (c candidate) finished() bool {
	return c.FinishReason != "" && c.FinishReason != "FINISH_REASON_UNSPECIFIED"
}

// read decodes an event. ok is false if the data is not a JSON object. A field whose type is not
// the one here counts as absent, because providers extend their events.
func (e Event) read() (c chunk, ok bool) {
	data := bytes.TrimSpace(e.Data)
	if len(data) == 0 || data[0] != '{' {
		return c, false
	}
	err := json.Unmarshal(data, &c)
	if _, other := err.(*json.UnmarshalTypeError); err != nil && !other {
		return chunk{}, false
	}
	// Most events name their type in the data as well as in the event field.
	if c.Type == "" {
		c.Type = e.Name
	}
	return c, true
}

// IsOutput reports whether an event has output for the user of a model: a piece of text, of a
// refusal, of sound, or of a tool call. A model's reasoning before its answer is not output, nor
// are the events around the answer. IsOutput returns true for an event that it does not recognise,
// because the user may have seen it.
func IsOutput(e Event) bool {
	c, ok := e.read()
	switch {
	case isDone(e):
		return false
	case !ok:
		// Nil data are too long to be read, so they may hold output.
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

// hasChoice reports whether a choice has output. A first event with only a role has none.
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

// hasContent reports whether v is a text, or a list of parts with at least one that is not
// reasoning.
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

// hasParts reports whether a candidate has a part that is output, such as text or a function call.
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

// noOutput are the types of Anthropic's and Cohere's events that have no output.
var noOutput = []string{
	"error", "ping", "message_start", "content_block_start", "content_block_stop", "message_delta",
	"message_stop", "message-start", "content-start", "content-end", "message-end",
	"tool-plan-delta", "tool-call-end", "citation-start", "citation-end",
}

// hasOutput is for events that are recognised by their type: those of Anthropic, Cohere and
// OpenAI's responses.
func (c chunk) hasOutput() bool {
	switch {
	case c.Type == "content_block_delta":
		var d struct {
			Type string
			Text string
		}
		_ = json.Unmarshal(c.Delta, &d)
		// Thoughts may take minutes and are not the answer, so a stream that fails during them can be
		// retried.
		thought := d.Type == "thinking_delta" || d.Type == "signature_delta"
		return !thought && (d.Type != "text_delta" || d.Text != "")
	// Of OpenAI's responses only the deltas hold output. All other events describe the state.
	case strings.HasPrefix(c.Type, "response."):
		return strings.HasSuffix(c.Type, ".delta") && !strings.Contains(c.Type, "reasoning")
	}
	return !slices.Contains(noOutput, c.Type)
}

// ends are the types of the last event of a stream: of Anthropic, Cohere, OpenAI's responses, and
// OpenAI's speech, transcripts and images.
var ends = []string{
	"message_stop", "message-end", "response.completed", "response.incomplete", "response.failed",
	"response.cancelled", "speech.audio.done", "transcript.text.done",
	"image_generation.completed", "image_edit.completed",
}

// IsEnd reports whether an event is the mark at the end of a stream. A stream that ends without one
// was cut off. The marks are [DONE] in OpenAI's chat format, message_stop of Anthropic,
// response.completed and other final events of OpenAI's responses, and a finishReason or a
// blockReason of Google. An event that is too long to be read counts as an end.
//
// If Google sends several candidates, each has a mark. A [Transport] and a [Stream] also deliver
// what follows a mark. For them, the stream is complete once every candidate has its mark.
func IsEnd(e Event) bool {
	if isDone(e) || e.Data == nil || slices.Contains(ends, e.Name) {
		return true
	}
	if !mentions(e.Data, `finishReason`, `blockReason`) && !mentions(e.Data, ends...) {
		// Decoding the JSON of every event would cost far more than this search.
		return false
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

// present reports whether v is a value, and not one of the ways in which providers write "no
// error".
func present(v json.RawMessage) bool {
	switch string(bytes.TrimSpace(v)) {
	case "", "null", "false", "0", `"0"`, `""`, "{}", "[]":
		return false
	}
	return true
}

// failed reports whether an event is an error of the provider.
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

// errorBody is an error event as the body of a response, in the form that SDKs expect.
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
	// SDKs expect an error only at the top level.
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
