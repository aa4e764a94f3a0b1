// Package reboundhttp makes HTTP requests dependable. A [Transport] stands between an http.Client
// and its usual transport. It repeats failed requests under a policy, if repeating does no harm.
//
//	client := reboundhttp.NewClient(policy) // or &http.Client{Transport: &reboundhttp.Transport{}}
//	resp, err := client.Get("https://api.example.com/users/7")
//
// Do not set http.Client.Timeout, which covers all attempts and delays together. The policy's
// AttemptTimeout limits each attempt, reading its response included. MaxElapsed limits the call
// until a header has come, and the request's context limits all of it.
//
// # What is repeated
//
// GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY are idempotent by RFC 9110, and repeated.
// Another method is repeated in these cases:
//
//   - The server certainly did not act: the connection was refused, HTTP/2 refused the stream, or
//     the answer was a 429. A 503 proves nothing, as a proxy may answer so after the server acted.
//   - The request has an Idempotency-Key.
//   - [Transport.Idempotent] returns true for it.
//
// # What comes back
//
// The last response comes back whole, whatever its status, with a nil error. If there is none, the
// error is a [*rebound.Error] with the last attempt's error. [CallOf] returns what the response
// took to get.
//
// # SDKs with retries
//
// When the Transport gives up on a request that it has repeated, it sets the header X-Should-Retry:
// false in the response. The SDKs of OpenAI and Anthropic obey it, so attempts do not multiply. An
// error has no header, so turn an SDK's own retries off where you can. A reverse proxy passes the
// header on to its clients unless its ModifyResponse deletes it.
package reboundhttp
