package fault

import "reflect"

var (
	codeLimited    = finding{rank: code, kind: RateLimited, sent: NotDone}
	codeOverloaded = finding{rank: code, kind: Overloaded, sent: NotDone}
	codeTimeout    = finding{rank: code, kind: Transient, flags: timeout}
	codeTransient  = finding{rank: code, kind: Transient}
	codePermanent  = finding{rank: code, kind: Permanent, sent: NotDone}
	codeNone       = finding{} // no more than its status
)

// codeMeaning is what a provider's code means, and the status that it comes with. A status of 0
// stands for that of the kind.
type codeMeaning struct {
	finding
	status int
}

// codes are those that AWS and providers of language models send beside a status that means less,
// or something else. Those of throttling are the lists of botocore and smithy.
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
	// The transaction may be the very one that an earlier attempt began.
	"TransactionInProgressException": {finding{rank: code, kind: RateLimited}, 0},

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

	// AWS: who asks.
	"AccessDeniedException":       {codeNone, 403},
	"ExpiredTokenException":       {codeNone, 403},
	"IncompleteSignature":         {codeNone, 403},
	"InvalidSignatureException":   {codeNone, 403},
	"MissingAuthenticationToken":  {codeNone, 403},
	"UnrecognizedClientException": {codeNone, 403},

	// Zhipu, in numbers: an account that is closed or has nothing to pay with, a package that is
	// used up; too many requests at once, or in a minute; a model that is busy.
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

// kindStatus are the statuses of codes that have none of their own.
var kindStatus = map[Kind]int{
	Transient: 500, RateLimited: 429, Overloaded: 503, Permanent: 400,
}

// Code is the meaning of an error code that a provider sends beside or instead of a status, such as
// "insufficient_quota" of OpenAI or "ThrottlingException" of AWS. It returns the HTTP status that
// the code comes with, or should come with, too. A code that means no more than its status has an
// [Unknown] kind; the status of an unknown code is 0.
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

// findCode is the finding for a provider's code. Numbers have too many meanings for that.
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
		if g := findCode(err.(interface{ ErrorCode() string }).ErrorCode()); g.rank != nothing {
			f = g
		}
		if m, ok := err.(interface{ ErrorMessage() string }); ok {
			f = readLimit(f, m.ErrorMessage(), false)
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
