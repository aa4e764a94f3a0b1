// Package llm makes calls to language models dependable. It covers OpenAI, Anthropic, Google and
// Bedrock, and the many servers whose API is like one of theirs.
//
//	client := openai.NewClient(option.WithHTTPClient(llm.NewClient(nil)), option.WithMaxRetries(0))
//
// The status alone is not enough to classify the errors of these services. A 429 may be a limit
// that resets in seconds, or a quota that lasts until it is paid for. An overload may be an event
// inside a stream that began with a 200, and a 200 may hold an error. A stream may end early
// without any error.
//
//   - [Classify] reads the body. [IsAccount] reports whether the key, the money or the quota is at
//     fault.
//   - [NewPolicy] returns a policy with delays that suit these services.
//   - [Transport] uses both, for any SDK that takes an http.Client. It retries a stream that fails
//     before its first output. If a stream fails later, or ends without its end mark, reading it
//     returns an error.
//   - [Fallback] continues with another model when one fails.
package llm
