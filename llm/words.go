package llm

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

var (
	never   = fault.Fault{Kind: fault.Permanent, Sent: fault.NotDone}
	limited = fault.Fault{Kind: fault.RateLimited, Sent: fault.NotDone}
	crowded = fault.Fault{Kind: fault.Overloaded, Sent: fault.NotDone}
	hiccup  = fault.Fault{Kind: fault.Transient}
)

// words are codes of language models' servers beyond those that package fault knows.
var words = map[string]fault.Fault{
	"ResponsibleAIPolicyViolation": never, // Azure
	"billing_error":                never, // Anthropic
	"billing_hard_limit_reached":   never, // OpenAI
	"content_filter":               never,
	"content_policy_violation":     never,
	"exceed_context_size_error":    never, // llama.cpp
	"exceeded_current_quota_error": never, // Moonshot
	"insufficient_balance":         never,
	"invalid_api_key":              never,
	"invalid_prompt":               never,
	"model_not_found":              never,

	"RateLimitReached":         limited, // GitHub Models
	"rate_limit_reached_error": limited, // Moonshot

	"UNAVAILABLE":             crowded, // Google: the model is overloaded
	"engine_overloaded":       crowded,
	"engine_overloaded_error": crowded, // Moonshot

	"InternalServerException":   hiccup, // Bedrock
	"ModelStreamErrorException": hiccup, // Bedrock, 424
}

// statuses are those that go with the codes of errors inside of streams, and are used where there
// is no status: the types of Anthropic and OpenAI, the codes of google.rpc.
var statuses = map[string]int{
	"invalid_request_error": 400,
	"authentication_error":  401,
	"billing_error":         402,
	"permission_error":      403,
	"not_found_error":       404,
	"request_too_large":     413,
	"rate_limit_error":      429,
	"rate_limit_exceeded":   429,
	"insufficient_quota":    429,
	"api_error":             500,
	"server_error":          500,
	"timeout_error":         504,
	"overloaded_error":      529,

	"INVALID_ARGUMENT":    400,
	"FAILED_PRECONDITION": 400,
	"UNAUTHENTICATED":     401,
	"PERMISSION_DENIED":   403,
	"NOT_FOUND":           404,
	"RESOURCE_EXHAUSTED":  429,
	"INTERNAL":            500,
	"UNAVAILABLE":         503,
	"DEADLINE_EXCEEDED":   504,
}

// Texts that have no field of their own, as OpenAI, Azure, Groq and Google word them.
var (
	amountsText = regexp.MustCompile(`Limit:? (\d{1,15})\b.*\bRequested:? (\d{1,15})\b`)
	waitText    = regexp.MustCompile(
		`(?i)\b(?:try again|retry) (?:in|after) ([0-9][0-9.hmsµu]{0,30})( seconds?\b)?`)
)

// amounts are the tokens that a request asks for and those that the limit has in all: of a request
// that asks for more than that, no waiting will help.
func amounts(text string) (asked, limit int, ok bool) {
	m := amountsText.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	limit, err := strconv.Atoi(m[1])
	asked, err2 := strconv.Atoi(m[2])
	return asked, limit, err == nil && err2 == nil
}

// waitIn is the wait that a text asks for, such as "Please try again in 1m2.5s" or "Please retry
// after 20 seconds", or 0.
func waitIn(text string) time.Duration {
	m := waitText.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	value := strings.TrimRight(m[1], ".")
	if m[2] != "" {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0
	}
	return max(d, 0)
}
