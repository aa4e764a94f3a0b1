// Package llm makes calls to language models dependable: those of OpenAI, Anthropic, Google and
// Bedrock, and of the many servers with an API like one of these.
//
//	client := openai.NewClient(option.WithHTTPClient(llm.NewClient(nil)), option.WithMaxRetries(0))
//
// The status alone is not enough to classify their errors. A 429 is a limit that resets in seconds,
// or a quota that lasts until it is paid for. An overload may be an event inside a stream that
// began with a 200, and a 200 may hold an error. A stream may end early without any error.
//
//   - [Classify] reads the body; [IsAccount] reports a fault of key, money or quota.
//   - [NewPolicy] returns a policy with delays that fit.
//   - [Transport] does both for any SDK that takes an http.Client. It repeats a stream that fails
//     before its first output. One that fails later, or ends without its end mark, is an error.
//   - [Fallback] continues with another model where one fails.
package llm
