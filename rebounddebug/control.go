package rebounddebug

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxForm is the largest accepted form, in bytes. A request has two short fields. The bound
// prevents a form that fills the memory.
const maxForm = 4 << 10

// orders are the actions on a breaker, by the value of the form field "set".
var orders = map[string]func(Breaker){
	"open":      Breaker.ForceOpen,
	"closed":    Breaker.ForceClose,
	"half-open": Breaker.ForceHalfOpen,
	"reset":     Breaker.Reset,
}

// sameOrigin rejects requests that a browser sends on behalf of another site.
var sameOrigin = http.NewCrossOriginProtection()

// control carries out an action on a breaker. The form field breaker holds an id, and set holds a
// key of orders.
func (p *page) control(w http.ResponseWriter, r *http.Request) {
	if status, problem := p.mayControl(r); problem != "" {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		http.Error(w, problem, status)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "cannot read the form: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, order := r.PostForm.Get("breaker"), orders[r.PostForm.Get("set")]
	if order == nil {
		http.Error(w, "set must be open, closed, half-open or reset", http.StatusBadRequest)
		return
	}
	b := p.breaker(id)
	if b == nil {
		http.Error(w, fmt.Sprintf("there is no breaker %q", id), http.StatusNotFound)
		return
	}
	order(b)
	writeJSON(w, b.Snapshot())
}

// mayControl returns the status and the text of the response that rejects a control request. The
// text is "" if the request is allowed.
func (p *page) mayControl(r *http.Request) (status int, problem string) {
	// This check comes first, so that a script of another site cannot detect whether control is on.
	if err := sameOrigin.Check(r); err != nil {
		return http.StatusForbidden, err.Error()
	}
	if p.ControlToken == "" {
		return http.StatusForbidden, "manual control is off: Options.ControlToken is not set"
	}
	// The case of the scheme does not matter (RFC 9110, section 11.1).
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !equal(token, p.ControlToken) {
		return http.StatusUnauthorized, "the control token is missing or wrong: want the header " +
			"Authorization: Bearer TOKEN"
	}
	return 0, ""
}

// equal takes the same time for all strings, so that the time reveals nothing about the token. It
// compares hashes, because ConstantTimeCompare needs equal lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// breaker returns the breaker with that id, or nil. It finds breakers that the page does not show,
// too. It lists the breakers anew, because groups gain and lose breakers while the page is open.
func (p *page) breaker(id string) Breaker {
	all := p.breakers()
	// If breakers share a name, an id may belong to another breaker later. So names should be unique
	// where control matters.
	i := slices.IndexFunc(all, func(b breakerState) bool { return b.ID == id })
	if i < 0 {
		return nil
	}
	return all[i].breaker
}
