package strict

import "net/http"

// IsPreflight reports whether a request is a CORS preflight. Preflights have no credentials.
func IsPreflight(req *http.Request) bool {
	return req.Method == http.MethodOptions && req.Header.Get("Origin") != "" &&
		req.Header.Get("Access-Control-Request-Method") != ""
}

// AllowOrigin sets the headers that let the web page of a request read the response.
func AllowOrigin(h http.Header, req *http.Request) {
	h.Set("Access-Control-Allow-Origin", req.Header.Get("Origin"))
	h.Set("Access-Control-Expose-Headers", "*")
	h.Add("Vary", "Origin")
	if IsPreflight(req) {
		h.Set("Access-Control-Allow-Methods", req.Header.Get("Access-Control-Request-Method"))
		h.Set("Access-Control-Allow-Headers", req.Header.Get("Access-Control-Request-Headers"))
	}
}
