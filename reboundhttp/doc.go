// Package reboundhttp makes HTTP requests dependable. A [Transport] stands between an http.Client
// and its usual transport. It repeats failed requests under a policy, if repeating does no harm.
//
//	client := reboundhttp.NewClient(policy) // or &http.Client{Transport: &reboundhttp.Transport{}}
//	resp, err := client.Get("https://api.example.com/users/7")
//
// Do not set http.Client.Timeout, which would cover all attempts and their waits together: the
// policy's AttemptTimeout limits each attempt, the reading of its response included, and the
// request's context the whole.
//
// What is repeated. GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY are, as RFC 9110 has it;
// another method only if the server certainly did not act (the connection was refused, HTTP/2
// refused the stream, the answer was a 429), if the request carries an Idempotency-Key, or if
// [Transport.Idempotent] says that it does no harm. A bare 503 is no such certainty: a proxy may
// answer so after the server acted.
//
// What comes back. The last response, whole, whatever its status and with a nil error, or else the
// error of the last attempt inside a [*rebound.Error], never both. [CallOf] tells what the
// response took to get.
//
// One retry loop. SDKs often have one of their own. When the Transport gives up on a request that
// it has repeated, it sets the header X-Should-Retry: false in the response, which the SDKs of
// OpenAI and Anthropic obey, so that attempts add up and do not multiply. An error has no header:
// switch such a loop off where you can. A reverse proxy passes the header on to its clients unless
// its ModifyResponse deletes it.
package reboundhttp
