package rebounddebug

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxForm is the largest accepted form, in bytes. A request has two short fields; anything longer
// is an attempt to fill the memory.
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

// control carries out an action on a breaker. The form fields are breaker, an id, and set.
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

// mayControl returns the status and the text with which a control request is rejected, or "".
func (p *page) mayControl(r *http.Request) (status int, problem string) {
	// This check comes first, so that a script of another site cannot find out whether control is on.
	if err := sameOrigin.Check(r); err != nil {
		return http.StatusForbidden, err.Error()
	}
	if p.ControlToken == "" {
		return http.StatusForbidden, "manual control is off: the program has set no ControlToken"
	}
	// The case of the scheme does not matter (RFC 9110, section 11.1).
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !equal(token, p.ControlToken) {
		return http.StatusUnauthorized, "this takes the program's control token"
	}
	return 0, ""
}

// equal takes the same time whatever the strings are, so that the time reveals nothing about the
// token. ConstantTimeCompare needs equal lengths, which hashes have.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// breaker returns the breaker with that id, shown or not, or nil. It lists the breakers anew,
// because groups gain and lose breakers while the page is open.
func (p *page) breaker(id string) Breaker {
	all := p.breakers()
	// An id may move to another breaker between two looks if names repeat; names should be unique
	// where control matters.
	i := slices.IndexFunc(all, func(b breakerState) bool { return b.ID == id })
	if i < 0 {
		return nil
	}
	return all[i].breaker
}
