package fault

import "reflect"

var (
	throttled = finding{rank: code, kind: RateLimited, sent: NotDone}
	crowded   = finding{rank: code, kind: Overloaded, sent: NotDone}
	tooSlow   = finding{rank: code, kind: Transient, flags: timeout}
	hiccup    = finding{rank: code, kind: Transient}
	never     = finding{rank: code, kind: Permanent, sent: NotDone}
)

// words are the codes that AWS and providers of language models give beside a status that says
// less, or says it wrong. Those of throttling are the lists of botocore and smithy.
var words = map[string]finding{
	"BandwidthLimitExceeded":                 throttled,
	"EC2ThrottledException":                  throttled,
	"LimitExceededException":                 throttled,
	"PriorRequestNotComplete":                throttled,
	"ProvisionedThroughputExceededException": throttled,
	"RequestLimitExceeded":                   throttled,
	"RequestThrottled":                       throttled,
	"RequestThrottledException":              throttled,
	"SlowDown":                               throttled,
	"ThrottledException":                     throttled,
	"Throttling":                             throttled,
	"ThrottlingException":                    throttled,
	"TooManyRequestsException":               throttled,
	"TransactionInProgressException":         throttled,

	"RequestTimeout":          tooSlow,
	"RequestTimeoutException": tooSlow,
	"TimeoutError":            tooSlow,

	"ModelErrorException":           hiccup,  // Bedrock, 424
	"ModelNotReadyException":        hiccup,  // Bedrock, 429
	"ModelTimeoutException":         tooSlow, // Bedrock, 408
	"ServiceUnavailableException":   {rank: code, kind: Overloaded},
	"ServiceQuotaExceededException": never,

	"credit_balance_exhausted":          never, // OpenAI, 429, as the next four
	"insufficient_quota":                never,
	"organization_spend_limit_exceeded": never,
	"organization_usage_limit_exceeded": never,
	"project_spend_limit_exceeded":      never,
	"context_length_exceeded":           never,
	"enforced_spend_limit_reached":      never, // Anthropic, 429
	"request_too_large":                 never,

	"rate_limit_error":    throttled,
	"rate_limit_exceeded": throttled,
	"slow_down":           throttled,

	"overloaded_error":     crowded,
	"server_is_overloaded": crowded,
}

// spoken is the meaning of a provider's word.
func spoken(word string) finding {
	f := words[word]
	f.detail = "code " + word
	return f
}

// readAWS reads the methods that errors of the AWS SDKs have, besides HTTPStatusCode.
func readAWS(t reflect.Type) reader {
	var r awsShape
	r.code = has[interface{ ErrorCode() string }](t)
	r.retryable = has[interface{ RetryableError() bool }](t)
	r.connection = has[interface{ ConnectionError() bool }](t)
	if base(t).Name() == "MaxAttemptsError" {
		r.attempt = fieldOf(t, "Attempt", isInt)
	}
	if !r.code && !r.retryable && !r.connection && r.attempt == nil {
		return nil
	}
	return r.read
}

type awsShape struct {
	code, retryable, connection bool
	attempt                     field // attempts made by the SDK's own retryer
}

func (s awsShape) read(err error) finding {
	var f finding
	if s.connection && err.(interface{ ConnectionError() bool }).ConnectionError() {
		f = finding{rank: weak, kind: Transient, flags: connection, detail: "connection error"}
	}
	if s.code {
		if g := spoken(err.(interface{ ErrorCode() string }).ErrorCode()); g.rank != nothing {
			f = g
		}
	}
	if s.attempt.number(err) > 1 {
		f.flags |= final
	}
	if s.retryable {
		if err.(interface{ RetryableError() bool }).RetryableError() {
			f.flags |= retry
		} else {
			f.flags |= noRetry
		}
	}
	return f
}
