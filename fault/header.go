package fault

import "reflect"

// headerNames are the headers that are read from a type that has Get but cannot list its headers,
// such as fasthttp's.
var headerNames = [...]string{
	"Retry-After-Ms", "Retry-After", "X-Amz-Retry-After", "X-Ratelimit-Retry-After", "Date",
	"X-Should-Retry", "Stripe-Should-Retry", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
}

var headerType = reflect.TypeFor[map[string][]string]()

// isHeader reports whether t is an http.Header or has its shape. This package must not import
// net/http, which would add 4 MB to a small program, so it recognises headers by their shape.
func isHeader(t reflect.Type) bool {
	return has[interface{ Get(string) string }](t) || t == headerType
}

// header returns the HTTP header in v, or nil if there is none. If a type has only Get, such as
// fasthttp's, it is asked for each of headerNames.
func header(v reflect.Value) map[string][]string {
	if !v.IsValid() {
		return nil
	}
	// Convertible covers http.Header and types of the same shape.
	if v.CanConvert(headerType) {
		return v.Convert(headerType).Interface().(map[string][]string)
	}
	// Only the headers that are read anywhere are asked for; an unknown type may be slow.
	h := map[string][]string{}
	if g, ok := v.Interface().(interface{ Get(string) string }); ok {
		for _, name := range headerNames {
			if value := g.Get(name); value != "" {
				h[name] = []string{value}
			}
		}
	}
	return h
}

// first returns the first value of a header, or "" if there is none. The name must be in canonical
// form, as the map's keys are.
func first(h map[string][]string, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
