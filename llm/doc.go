// Package llm makes calls to language models dependable, whoever serves them: OpenAI, Anthropic,
// Google, Bedrock, and the many servers that speak like one of these.
//
//	client := openai.NewClient(option.WithHTTPClient(llm.NewClient(nil)), option.WithMaxRetries(0))
//
// Their errors cannot be read from the status alone. A 429 may be a limit that is over in seconds
// or a quota that lasts until somebody pays, an overload may come as an event inside a stream that
// began with a 200, and a stream may end early without any error. [Classify] reads what the body
// says, [NewPolicy] meets it with waits that fit, and [Transport] does both for any SDK that takes
// an http.Client, and watches over streams: one that fails before its first output is repeated, one
// that fails later, or ends without its end mark, is an error. [Fallback] goes on with another
// model where one fails.
package llm
