// Package reboundhttp makes HTTP requests dependable. A [Transport] stands between an http.Client
// and its usual transport. It retries failed requests under a policy, unless a retry could do harm.
//
//	client := reboundhttp.NewClient(policy) // or &http.Client{Transport: &reboundhttp.Transport{}}
//	resp, err := client.Get("https://api.example.com/users/7")
//
// Do not set http.Client.Timeout, which covers all attempts and delays together. The policy's
// AttemptTimeout bounds each attempt, including the time to read its response. MaxElapsed bounds
// the call until a header has arrived, and the request's context bounds everything.
//
// # What is retried
//
// GET, HEAD, OPTIONS, TRACE, PUT and DELETE are idempotent by RFC 9110, and QUERY by its own
// specification, so they are retried. Requests with other methods are retried in these cases:
//
//   - The server certainly did not act. For example, the connection was refused, HTTP/2 refused the
//     stream, or the answer was a 429. A 503 proves nothing, because a proxy may send it after the
//     server acted.
//   - The request has an Idempotency-Key.
//   - [Transport.Idempotent] returns true for it.
//
// # What is returned
//
// The last response is returned whole, with any status and a nil error. Without a response, the
// error is a [*rebound.Error] with the last attempt's error. [CallOf] returns the number of
// attempts and the delays behind a response.
//
// # SDKs with retries
//
// If the Transport has retried a request and returns a failure, it sets the header X-Should-Retry:
// false in the response. The SDKs of OpenAI and Anthropic obey it, so attempts do not multiply. An
// error has no header, so turn off an SDK's own retries where you can. A reverse proxy passes the
// header on to its clients unless its ModifyResponse deletes it.
package reboundhttp
