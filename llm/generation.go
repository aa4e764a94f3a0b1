package llm

import (
	"net/http"
	"strings"
)

// generating are the ends of the paths of endpoints that generate, embed or count, and change
// nothing by it.
var generating = []string{
	"/completions", "/responses", "/embeddings", "/moderations", "/images/generations",
	"/audio/speech", "/audio/transcriptions", "/audio/translations", // OpenAI, and those alike
	"/v1/messages", "/v1/messages/count_tokens", "/v1/complete", // Anthropic
	":generateContent", ":streamGenerateContent", ":countTokens", ":embedContent", // Google
	":batchEmbedContents", ":predict", ":rawPredict", ":streamRawPredict",
	"/invoke", "/invoke-with-response-stream", "/converse", "/converse-stream", // Bedrock
	"/v1/chat", "/v2/chat", "/v1/embed", "/v2/embed", "/v1/rerank", "/v2/rerank", // Cohere
	"/api/chat", "/api/generate", "/api/embed", // Ollama
}

// Generation reports whether req asks a language model to generate, embed or count, by the path of
// the request. To repeat such a request costs tokens at most, whether the model answered the first
// time or not. That is not so of requests that start a batch, create a file or add to a
// conversation, nor of a response of OpenAI's that belongs to a conversation, which the path does
// not tell.
func Generation(req *http.Request) bool {
	if req.Method != http.MethodPost || req.URL == nil {
		return false
	}
	path := strings.TrimSuffix(req.URL.Path, "/")
	for _, end := range generating {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}
