package fault

import "reflect"

var (
	// The findings that most codes share. Only codes that a server sends instead of doing the work
	// prove that it did not act. A timeout or an internal error may come after the work was done.
	codeLimited    = finding{rank: code, kind: RateLimited, sent: NotDone}
	codeOverloaded = finding{rank: code, kind: Overloaded, sent: NotDone}
	codeTimeout    = finding{rank: code, kind: Transient, flags: timeout}
	codeTransient  = finding{rank: code, kind: Transient}
	codePermanent  = finding{rank: code, kind: Permanent, sent: NotDone}
	codeNone       = finding{} // no more than its status
)

// codeMeaning is what a provider's code means, and the HTTP status that it comes with. A status of
// 0 stands for the usual status of the kind, in kindStatus.
type codeMeaning struct {
	finding
	status int
}

// codes are the error codes of AWS and of language model providers that are more exact than their
// status, or contradict it. For example, OpenAI sends insufficient_quota with a 429, although no
// delay helps. The codes of throttling are those in the lists of botocore and smithy.
//
// The status is used where a code arrives without one, as in the middle of a stream.
var codes = map[string]codeMeaning{
	"BandwidthLimitExceeded":                 {codeLimited, 0},
	"EC2ThrottledException":                  {codeLimited, 0},
	"LimitExceededException":                 {codeLimited, 0},
	"PriorRequestNotComplete":                {codeLimited, 0},
	"ProvisionedThroughputExceededException": {codeLimited, 0},
	"RequestLimitExceeded":                   {codeLimited, 0},
	"RequestThrottled":                       {codeLimited, 0},
	"RequestThrottledException":              {codeLimited, 0},
	"SlowDown":                               {codeLimited, 0},
	"ThrottledException":                     {codeLimited, 0},
	"Throttling":                             {codeLimited, 0},
	"ThrottlingException":                    {codeLimited, 0},
	"TooManyRequestsException":               {codeLimited, 0},
	// DynamoDB: the transaction in progress may be the one that an earlier attempt began, so this does
	// not prove that the server did not act.
	"TransactionInProgressException": {finding{rank: code, kind: RateLimited}, 0},

	// AWS gave up waiting for the body of the request, or a service for its backend.
	"RequestTimeout":          {codeTimeout, 0},
	"RequestTimeoutException": {codeTimeout, 0},
	"TimeoutError":            {codeTimeout, 0},

	// Bedrock.
	"InternalServerException":       {codeTransient, 500},
	"ModelErrorException":           {codeTransient, 424},
	"ModelNotReadyException":        {codeTransient, 429},
	"ModelStreamErrorException":     {codeTransient, 424},
	"ModelTimeoutException":         {codeTimeout, 408},
	"ServiceUnavailableException":   {finding{rank: code, kind: Overloaded}, 503},
	"ServiceQuotaExceededException": {codePermanent, 400},

	// OpenAI, and Azure.
	"ResponsibleAIPolicyViolation":      {codePermanent, 400},
	"billing_hard_limit_reached":        {codePermanent, 429},
	"content_filter":                    {codePermanent, 400},
	"content_policy_violation":          {codePermanent, 400},
	"context_length_exceeded":           {codePermanent, 400},
	"credit_balance_exhausted":          {codePermanent, 429},
	"insufficient_quota":                {codePermanent, 429},
	"invalid_api_key":                   {codePermanent, 401},
	"invalid_prompt":                    {codePermanent, 400},
	"model_not_found":                   {codePermanent, 404},
	"organization_spend_limit_exceeded": {codePermanent, 429},
	"organization_usage_limit_exceeded": {codePermanent, 429},
	"project_spend_limit_exceeded":      {codePermanent, 429},
	"rate_limit_exceeded":               {codeLimited, 429},
	"server_is_overloaded":              {codeOverloaded, 503},
	"slow_down":                         {codeLimited, 503},
	"server_error":                      {codeNone, 500},

	// Anthropic; OpenAI has some of them, too.
	"api_error":                    {codeNone, 500},
	"authentication_error":         {codeNone, 401},
	"billing_error":                {codePermanent, 402},
	"enforced_spend_limit_reached": {codePermanent, 429},
	"invalid_request_error":        {codeNone, 400},
	"not_found_error":              {codeNone, 404},
	"overloaded_error":             {codeOverloaded, 529},
	"permission_error":             {codeNone, 403},
	"rate_limit_error":             {codeLimited, 429},
	"request_too_large":            {codePermanent, 413},
	"timeout_error":                {codeNone, 504},

	// Google: the reasons of google.rpc.ErrorInfo.
	"ACCESS_TOKEN_EXPIRED":    {codePermanent, 401},
	"API_KEY_INVALID":         {codePermanent, 401},
	"API_KEY_SERVICE_BLOCKED": {codePermanent, 403},
	"BILLING_DISABLED":        {codePermanent, 402},
	"CONSUMER_SUSPENDED":      {codePermanent, 403},
	"CREDENTIALS_MISSING":     {codePermanent, 401},
	"SERVICE_DISABLED":        {codePermanent, 403},

	// Google: the codes of google.rpc. A model that is UNAVAILABLE is overloaded.
	"DEADLINE_EXCEEDED":   {codeNone, 504},
	"FAILED_PRECONDITION": {codeNone, 400},
	"INTERNAL":            {codeNone, 500},
	"INVALID_ARGUMENT":    {codeNone, 400},
	"NOT_FOUND":           {codeNone, 404},
	"PERMISSION_DENIED":   {codeNone, 403},
	"RESOURCE_EXHAUSTED":  {codeNone, 429},
	"UNAUTHENTICATED":     {codeNone, 401},
	"UNAVAILABLE":         {codeOverloaded, 503},

	// AWS: credentials. These mean no more than their status, but an error in the middle of a stream
	// has no status.
	"AccessDeniedException":       {codeNone, 403},
	"ExpiredTokenException":       {codeNone, 403},
	"IncompleteSignature":         {codeNone, 403},
	"InvalidSignatureException":   {codeNone, 403},
	"MissingAuthenticationToken":  {codeNone, 403},
	"UnrecognizedClientException": {codeNone, 403},

	// Zhipu's numbers. 1112, 1113 and 1121: the account is closed or has no balance. 1302 and 1303:
	// too many requests at once or per minute. 1305: the model is busy. 1308 to 1310: a package or a
	// quota is used up or expired.
	"1112": {codePermanent, 403},
	"1113": {codePermanent, 402},
	"1121": {codePermanent, 403},
	"1302": {codeLimited, 429},
	"1303": {codeLimited, 429},
	"1305": {codeOverloaded, 429},
	"1308": {codePermanent, 429},
	"1309": {codePermanent, 402},
	"1310": {codePermanent, 429},

	// GitHub Models, Alibaba, Moonshot, llama.cpp, and servers like OpenAI's.
	"AllocationQuota.FreeTierOnly": {codePermanent, 403},
	"Arrearage":                    {codePermanent, 402},
	"RateLimitReached":             {codeLimited, 429},
	"engine_overloaded":            {codeOverloaded, 503},
	"engine_overloaded_error":      {codeOverloaded, 429},
	"exceed_context_size_error":    {codePermanent, 400},
	"exceeded_current_quota_error": {codePermanent, 429},
	"insufficient_balance":         {codePermanent, 402},
	"rate_limit_reached_error":     {codeLimited, 429},
}

// kindStatus is the status of each code that has none of its own in the table.
var kindStatus = map[Kind]int{
	Transient: 500, RateLimited: 429, Overloaded: 503, Permanent: 400,
}

// Code returns the meaning of an error code that a provider sends with or instead of a status, such
// as OpenAI's "insufficient_quota" or AWS's "ThrottlingException". It also returns the code's usual
// HTTP status. If a code means no more than its status, the kind is [Unknown]. For an unknown code,
// the status is 0.
func Code(text string) (f Fault, status int) {
	m, known := codes[text]
	if !known {
		return Fault{}, 0
	}
	status = m.status
	if status == 0 {
		status = kindStatus[m.kind]
	}
	if m.rank == nothing {
		return Fault{}, status
	}
	return Fault{Kind: m.kind, Sent: m.sent, Detail: "code " + text}, status
}

// findCode is the finding for a provider's code in an error of any type. Codes that begin with a
// digit are left out: such a number may be anything, unless it is known to come from Zhipu.
func findCode(text string) finding {
	if text == "" || text[0] <= '9' {
		return finding{}
	}
	f := codes[text].finding
	if f.rank != nothing {
		f.detail = "code " + text
	}
	return f
}

// readAWS reads the methods that errors of the AWS SDKs have, apart from HTTPStatusCode, which
// readAnswer reads. The methods belong to interfaces of the SDK's API, so they are as stable as it
// is.
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

// awsShape holds which of these methods a type has. They are independent: a wrapper of the SDK
// often has one and its cause another.
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
		if g := findCode(err.(interface{ ErrorCode() string }).ErrorCode()); g.rank != nothing {
			f = g
		}
		// The same throttling code is used for a limit per second and for a daily quota of tokens. Only
		// the message shows which one was reached.
		if m, ok := err.(interface{ ErrorMessage() string }); ok {
			f = readLimit(f, m.ErrorMessage(), false)
		}
	}
	// MaxAttemptsError counts the attempts of the SDK's own retryer. With one attempt the retryer was
	// off, and the policy may still retry.
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
