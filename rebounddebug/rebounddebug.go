// Package rebounddebug serves a live page about policies, breakers and limits. Like the pages of
// net/http/pprof, it is for the people who run a program:
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
// A browser gets a page that updates itself. All its files are in the binary, and a strict
// Content-Security-Policy allows no request to another host. Programs get JSON at the same address
// if they send "Accept: application/json" or add ?format=json.
//
// The page shows names, counts and error texts. Serve it where only people who may read these can
// reach it, such as on its own port on localhost. It answers only requests for localhost, for an IP
// address, and for the names in [Options.Hosts]. So another site cannot read it through a name that
// resolves to this machine. The page is read-only unless [Options.ControlToken] is set.
package rebounddebug

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// page is the handler.
type page struct {
	Options
	clients atomic.Int32 // open event streams
	feed    feed
}

// Handler returns the handler of the page and its files. Register it for any path that ends in a
// slash.
//
// A browser that shows the page keeps a connection open. [http.Server.Shutdown] waits for this
// connection. [http.Server.Close] does not.
func Handler(o Options) http.Handler {
	// These are copies, so that the caller may change its slices.
	o.Policies, o.Breakers = slices.Clone(o.Policies), slices.Clone(o.Breakers)
	p := &page{Options: o}
	p.feed = feed{options: &p.Options, every: defaultEvery, began: time.Now()}
	return p
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if !p.known(r.Host) {
		http.Error(w, fmt.Sprintf("this page is not served for the host %q: add the name to "+
			"Options.Hosts", r.Host), http.StatusMisdirectedRequest)
		return
	}
	// Only the last element of the path matters. So the page works below any path, and behind proxies
	// that change the beginning of the path.
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	// A POST to the page's own address is a control request. All other requests only read.
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

// secure sets headers that let the page load only what this handler serves, allow no inline script,
// and forbid other sites to show or read the page. They do not help against a site whose name
// resolves to this machine. See known.
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

// dated is a state with the time at which it was read.
type dated struct {
	Time time.Time `json:"time"`
	state
}

// serveJSON sends what the page shows. With ?all it sends every breaker and limit.
func (p *page) serveJSON(w http.ResponseWriter, r *http.Request) {
	most := shown
	if r.URL.Query().Has("all") {
		most = math.MaxInt
	}
	writeJSON(w, dated{time.Now(), p.state(most)})
}
