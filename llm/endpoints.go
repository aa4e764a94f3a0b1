package llm

import (
	"net/http"
	"slices"
	"strings"
)

// generating are the endings of the paths of endpoints that generate, embed or count. These change
// nothing on the server.
var generating = []string{
	"/completions", "/v1/responses", "/embeddings", "/moderations", "/images/generations",
	"/audio/speech", "/audio/transcriptions", "/audio/translations", // OpenAI, and those alike
	"/v1/messages", "/v1/messages/count_tokens", "/v1/complete", // Anthropic
	":generateContent", ":streamGenerateContent", ":countTokens", ":embedContent", // Google
	":batchEmbedContents", ":predict", ":rawPredict", ":streamRawPredict",
	"/v1/chat", "/v2/chat", "/v1/embed", "/v2/embed", "/v1/rerank", "/v2/rerank", // Cohere
	"/api/chat", "/api/generate", "/api/embed", // Ollama
}

// bedrock are the endings that follow /model/{id} in the paths of Bedrock.
var bedrock = []string{
	"/invoke", "/invoke-with-response-stream", "/converse", "/converse-stream",
}

// IsGeneration reports whether req asks a language model to generate, embed or count. The path
// decides. Such a request can be repeated: if the model has already answered it, that only costs
// tokens.
//
// Requests that start a batch, create a file or add to a conversation are not generations. One
// exception is not visible in the path: a response of OpenAI may belong to a conversation.
func IsGeneration(req *http.Request) bool {
	if req.Method != http.MethodPost || req.URL == nil {
		return false
	}
	path := strings.TrimSuffix(req.URL.Path, "/")
	return endsIn(path, generating) || ofBedrock(path) ||
		strings.Contains(path, "/openai/") && strings.HasSuffix(path, "/responses") // of Azure
}

func endsIn(path string, ends []string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(path, end) })
}

// ofBedrock reports whether path names a model of Bedrock. The model's ID contains a slash only if
// it is an ARN.
func ofBedrock(path string) bool {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || !slices.Contains(bedrock, path[i:]) {
		return false
	}
	_, id, ok := strings.Cut(path[:i], "/model/")
	return ok && id != "" && (strings.HasPrefix(id, "arn:") || !strings.Contains(id, "/"))
}

// inPieces reports whether an answer is a JSON array that arrives element by element. Google sends
// this unless the query has alt=sse.
func inPieces(req *http.Request) bool {
	return strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), ":streamGenerateContent")
}
