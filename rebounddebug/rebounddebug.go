// Package rebounddebug serves a live page that shows what policies and breakers are doing, in the
// spirit of net/http/pprof and expvar:
//
//	var recorder stats.Recorder
//	var changes rebounddebug.Changes
//	ocr := &rebound.Policy{Name: "ocr", Observe: recorder.Observe}
//	ocr.Breaker = &breaker.Breaker{Name: "ocr", OnChange: changes.OnChange}
//
//	mux.Handle("/debug/rebound/", rebounddebug.Handler(rebounddebug.Options{
//		Policies: []*rebound.Policy{ocr}, Recorder: &recorder, Changes: &changes,
//	}))
//
// A browser gets a page that updates itself. All of it is in the binary, and a strict
// Content-Security-Policy allows no request to another host. Programs get JSON at the same
// address, if they send "Accept: application/json" or add ?format=json.
//
// The page shows names, counts and error texts. Serve it where only those who may read them can
// reach it, such as a port of its own on localhost. It is read-only unless [Options.ControlToken]
// is set.
package rebounddebug

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/stats"
)

// Options are what the page shows. Every field may be empty. They must not be changed once the page
// is served.
type Options struct {
	// Title is the program's name on the page. Empty means "rebound".
	Title string

	// Policies are shown in this order, together with their breakers, also those among their
	// gates. A policy should have a name: that is how its counts are found.
	Policies []*rebound.Policy

	// Breakers are shown beside those of the policies.
	Breakers []Breaker

	// Groups are read whenever the page is: see [Group]. The first 100 breakers of each, by name,
	// are shown.
	Groups []iter.Seq[Breaker]

	// Recorder has the counts and the last failures: the one whose Observe the policies call.
	// Its other policies are shown as well. Nil: there are no counts.
	Recorder *stats.Recorder

	// Changes has the recent history of the breakers: the one whose OnChange they call. Nil: only
	// the last change of each is known.
	Changes *Changes

	// ControlToken allows its holders to force breakers open or closed and to reset them: on the
	// page, or by POST with the header "Authorization: Bearer TOKEN". Make a new one for each
	// run, such as rand.Text() of crypto/rand; it may be given to the page behind its address, as
	// #token=TOKEN, which browsers do not send. Empty: the page is read-only.
	ControlToken string
}

// Breaker is what the page must know of a breaker: a [breaker.Breaker] and the breakers of a
// [breaker.Group] are such.
type Breaker interface {
	// Snapshot says how it is.
	Snapshot() breaker.Snapshot
	// ForceOpen and those below are called only if the program has set a ControlToken.
	ForceOpen()
	ForceClose()
	ForceHalfOpen()
	Reset()
}

// Group goes through the breakers that a group remembers at the time, for [Options.Groups].
func Group[K comparable](g *breaker.Group[K]) iter.Seq[Breaker] {
	return func(yield func(Breaker) bool) {
		for key := range g.All() {
			if !yield(g.For(key)) {
				return
			}
		}
	}
}

// Handler returns the handler of the page and of all that belongs to it. Register it for an
// address that ends in a slash, whichever one that is.
//
// A browser that looks at the page holds a connection, which [http.Server.Shutdown] would wait
// for; [http.Server.Close] does not.
func Handler(o Options) http.Handler {
	o.Policies, o.Breakers = slices.Clone(o.Policies), slices.Clone(o.Breakers)
	return &page{Options: o, every: defaultEvery}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	// Only the last element counts, so the page works below any address, and behind proxies that
	// change the beginning.
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case r.Method == http.MethodPost && name == "":
		p.control(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case name == "events":
		p.stream(w, r)
	case name != "":
		serveAsset(w, r, name)
	case wantsJSON(r):
		p.serveJSON(w, r)
	default:
		serveAsset(w, r, indexPage)
	}
}

// secure says that everything the page uses comes from where it came from itself, that no script
// is in it, and that no other site may show it or read it.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
		"img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "+
		"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
